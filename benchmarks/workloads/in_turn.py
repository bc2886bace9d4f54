"""What a saga costs on one stage against another, measured in turn.

A machine that is shared is fast now and slow then, by half as much again: two runs that are minutes apart cannot be
compared, two that follow each other can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

from benchmarks.records import Figures
from benchmarks.stage import Stage, stage

_SAGAS: Final = 2_000
_TURNS: Final = 5


@asynccontextmanager
async def fresh(beside: Stage) -> AsyncIterator[Stage]:
    """A stage over an empty database on the same servers, warm."""
    name = f"{beside.engine.folder.name}_fresh"
    async with stage(beside.servers, name, seconds=beside.seconds, sagas=beside.sagas) as empty:
        await empty.run("order", sagas=_SAGAS)
        yield empty


async def compare(full: Stage, empty: Stage) -> tuple[Figures, float]:
    """CPU of all processes together per saga on both, in microseconds, and the ratio; with the foreign share.

    The medians of several turns; the ratio is the median of theirs.
    """
    turns: list[tuple[float, float]] = []
    foreign = 0.0
    for _ in range(_TURNS):
        loaded = [await each.run("order", sagas=_SAGAS) for each in (full, empty)]
        first, second = (one.usage.per_saga(one.sagas)["cpu_us.all"] for one in loaded)
        turns.append((first, second))
        foreign = max(foreign, *(one.usage.foreign for one in loaded))
    figures = {
        "ratio": median(first / second for first, second in turns),
        "cpu_us.full": median(first for first, _ in turns),
        "cpu_us.empty": median(second for _, second in turns),
    }
    return figures, foreign
