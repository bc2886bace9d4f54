"""The common workload with a debit that rejects every time: one compensation, and every saga ends compensated."""

from __future__ import annotations

from benchmarks.records import Figures
from benchmarks.stage import Stage


async def measure(stage: Stage) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    loaded = await stage.run("order", fail=True)
    figures = {"sagas_per_s": loaded.sagas_per_s, "sagas": loaded.sagas, **loaded.usage.per_saga(loaded.sagas)}
    return figures, loaded.usage.foreign
