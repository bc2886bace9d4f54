"""`make bench`: the common workload on PostgreSQL and on SQLite against the limit, repetition by repetition.

Owns what belongs to a run and in which order. What is compared is measured close together in time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.records import Figures, Record, Run
from benchmarks.stage import Servers, Stage, stage
from benchmarks.workloads import failing_path, fenced, happy_path, latency, limit, sqlite

Measure = Callable[[Stage], Awaitable[tuple[Figures, float]]]

ON_POSTGRES: Final[Mapping[str, Measure]] = {
    "happy_path": happy_path.measure,
    "failing_path": failing_path.measure,
    "fenced": fenced.measure,
    "latency": latency.measure,
}
ON_SQLITE: Final[Mapping[str, Measure]] = {"sqlite": sqlite.measure, "sqlite_latency": latency.measure}
LIMIT: Final = "limit"
WORKLOADS: Final = (LIMIT, *ON_POSTGRES, *ON_SQLITE)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `seconds`: what a throughput run shall take; `sagas`: instead, how many it has."""

    repetitions: int = 3
    seconds: float = 6.0
    sagas: int | None = None


async def bench(on: Servers, run: Run, wanted: frozenset[str], size: Size, told: Callable[[Record], None]) -> None:
    """Measure the wanted workloads into the run; `told` is called with each record as it is made."""

    def record(workload: str, repetition: int, measured: tuple[Figures, float]) -> None:
        figures, foreign = measured
        run.records.append(Record(workload, repetition, foreign, figures))
        told(run.records[-1])

    if wanted & {LIMIT, *ON_POSTGRES}:
        async with stage(on, "benchmark", seconds=size.seconds, sagas=size.sagas) as ours:
            for repetition in range(size.repetitions):
                if LIMIT in wanted:
                    record(LIMIT, repetition, await limit.measure(on, size.sagas or limit.DEFAULT_SAGAS))
                await _measure(ON_POSTGRES, wanted, ours, repetition, record)
    if wanted & set(ON_SQLITE):
        async with stage(on, "benchmark_sqlite", seconds=size.seconds, sagas=size.sagas, sqlite=True) as ours:
            for repetition in range(size.repetitions):
                await _measure(ON_SQLITE, wanted, ours, repetition, record)


async def _measure(
    workloads: Mapping[str, Measure],
    wanted: frozenset[str],
    on: Stage,
    repetition: int,
    record: Callable[[str, int, tuple[Figures, float]], None],
) -> None:
    for name, measure in workloads.items():
        if name in wanted:
            record(name, repetition, await measure(on))
