"""One saga at a time on an idle engine: from before its start is asked for until its end is seen in the database."""

from __future__ import annotations

from itertools import count
from statistics import quantiles
from typing import Final

from benchmarks.machine import Meter
from benchmarks.orders import orders
from benchmarks.records import Figures
from benchmarks.stage import Stage

_SAGAS: Final = 200
_FEWEST: Final = 20
_TAGS: Final = count()


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    sagas = _SAGAS if stage.sagas is None else min(stage.sagas, _FEWEST)
    meter = Meter(stage.engine.roles, own="load")
    took = await stage.load.one_by_one("order", orders(sagas, fail=False, tag=f"one-{next(_TAGS)}"))
    usage = meter.stop()
    parts = quantiles(took, n=100, method="inclusive")
    return {"p50_ms": parts[49] * 1e3, "p99_ms": parts[98] * 1e3, "sagas": sagas}, usage.foreign
