"""Whether a saga stays as cheap when many have been before it: after 100,000 sagas, against an empty database."""

from __future__ import annotations

from typing import Final

from benchmarks.records import Figures
from benchmarks.stage import Stage
from benchmarks.workloads.in_turn import compare, fresh

MANY: Final = 100_000


async def measure(stage: Stage, many: int = MANY) -> tuple[Figures, float]:
    """The figures, and the foreign share."""
    whole = await stage.run("order", sagas=many)
    async with fresh(stage) as empty:
        figures, foreign = await compare(stage, empty)
    return {**figures, "sagas_per_s": whole.sagas_per_s, "sagas": whole.sagas}, max(foreign, whole.usage.foreign)
