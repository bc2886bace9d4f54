"""Whether a saga stays as cheap when many have been before it: 100,000 sagas in one run against runs of 1,000."""

from __future__ import annotations

from statistics import mean
from typing import Final

from benchmarks.records import Figures
from benchmarks.stage import Stage

FEW: Final = 1_000
MANY: Final = 100_000
_REPETITIONS: Final = 3


async def measure(stage: Stage, many: int = MANY) -> tuple[Figures, float]:
    """CPU of all processes together per saga, in microseconds, and the ratio; with the foreign share."""
    first = [await stage.run("order", sagas=FEW) for _ in range(_REPETITIONS)]
    few = mean(loaded.usage.per_saga(loaded.sagas)["cpu_us.all"] for loaded in first)
    whole = await stage.run("order", sagas=many)
    cost = whole.usage.per_saga(whole.sagas)["cpu_us.all"]
    figures = {"ratio": cost / few, "cpu_us.many": cost, "cpu_us.few": few, "sagas_per_s": whole.sagas_per_s}
    return {**figures, "sagas": whole.sagas}, whole.usage.foreign
