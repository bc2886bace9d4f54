"""What must be reached and what is aimed at, in one table, and how each line is made from a run's records.

A line is a figure, or a ratio of two figures of one repetition; it is judged by its median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.records import Run


@dataclass(frozen=True, slots=True)
class Source:
    """A figure of a workload."""

    workload: str
    figure: str

    def values(self, run: Run) -> Sequence[float]:
        return [record.figures[self.figure] for record in run.of(self.workload) if self.figure in record.figures]


@dataclass(frozen=True, slots=True)
class Goal:
    """One line. `over`: what it is divided by, repetition for repetition. `at_least`: more is better."""

    title: str
    of: Source
    must: float
    aim: float
    at_least: bool
    over: Source | None = None
    unit: str = ""

    def values(self, run: Run) -> Sequence[float]:
        """The line's value in each repetition; empty when the run did not measure it."""
        values = self.of.values(run)
        if self.over is None:
            return values
        return [value / base for value, base in zip(values, self.over.values(run), strict=False)]

    def verdict(self, run: Run) -> str:
        """`pass`, `aim` for what is aimed at, `short`, or `-` when it was not measured."""
        values = self.values(run)
        if not values:
            return "-"
        reached = median(values)
        if self._met(reached, self.aim):
            return "aim"
        return "pass" if self._met(reached, self.must) else "short"

    def _met(self, value: float, threshold: float) -> bool:
        return value >= threshold if self.at_least else value <= threshold


_HAPPY: Final = Source("happy_path", "sagas_per_s")
_LIMIT: Final = Source("limit", "sagas_per_s")

SHARE: Final = Goal("happy path, share of the limit", _HAPPY, 0.43, 0.6, at_least=True, over=_LIMIT)

GOALS: Final = (
    SHARE,
    # Cores are what both run out of: unlike rates, CPU times are hardly moved by other programs on the machine.
    Goal(
        "the same by CPU time: the limit's per saga, share of ours",
        Source("limit", "cpu_us.all"),
        0.43,
        0.6,
        at_least=True,
        over=Source("happy_path", "cpu_us.all"),
    ),
    Goal(
        "100 % failing, share of the happy path",
        Source("failing_path", "sagas_per_s"),
        0.9,
        1.0,
        at_least=True,
        over=_HAPPY,
    ),
    Goal(
        "fenced handlers, share of the happy path",
        Source("fenced", "sagas_per_s"),
        0.3,
        0.5,
        at_least=True,
        over=_HAPPY,
    ),
    Goal(
        "latency p99 against p50, one at a time",
        Source("latency", "p99_ms"),
        2.0,
        1.5,
        at_least=False,
        over=Source("latency", "p50_ms"),
    ),
    Goal(
        "write transactions per saga",
        Source("happy_path", "write_transactions_per_saga"),
        0.1,
        0.03,
        at_least=False,
    ),
    Goal("orchestrator memory", Source("happy_path", "orchestrator_mb"), 150, 110, at_least=False, unit="MB"),
    *(
        Goal(f"happy path against {name}", _HAPPY, must, aim, at_least=True, over=Source(peer, "sagas_per_s"), unit="×")
        for name, peer, must, aim in (
            ("natsaga", "natsaga", 30, 45),
            ("DBOS on PostgreSQL", "dbos", 14, 20),
            ("Restate", "restate", 4.5, 6),
        )
    ),
    Goal(
        "SQLite against DBOS on SQLite",
        Source("sqlite", "sagas_per_s"),
        20,
        40,
        at_least=True,
        over=Source("dbos_sqlite", "sagas_per_s"),
        unit="×",
    ),
    *(
        Goal(
            f"latency p50, share of {name}",
            Source("latency", "p50_ms"),
            1.0,
            0.7,
            at_least=False,
            over=Source(f"{peer}_latency", "p50_ms"),
        )
        for name, peer in (("DBOS", "dbos"), ("Restate", "restate"))
    ),
    *(
        Goal(title, Source(workload, figure), must, aim, at_least=at_least, unit=unit)
        for title, workload, figure, must, aim, at_least, unit in (
            ("CPU per saga, 100,000 sagas against 1,000", "growth", "ratio", 1.15, 1.05, False, ""),
            ("CPU per saga with 1,000,000 ended sagas", "million", "ratio", 1.15, 1.05, False, ""),
            ("`saga list` at 1,000,000 sagas, in the database", "million", "list_ms", 20, 5, False, "ms"),
            ("`saga show` at 1,000,000 sagas, in the database", "million", "show_ms", 20, 5, False, "ms"),
            ("1,000 steps, last 100 against first 100", "long_saga", "ratio", 1.2, 1.05, False, ""),
            ("for_each, share of plain commands/s", "for_each", "ratio", 0.5, 0.8, True, ""),
            ("100,000 waiting sagas, orchestrator memory", "waiting", "orchestrator_mb", 300, 150, False, "MB"),
            ("100,000 waiting sagas, restart to progress", "waiting", "restart_s", 5, 2, False, "s"),
            ("`saga --help`", "command_line", "help_ms", 150, 80, False, "ms"),
            ("`saga validate`, ten steps", "command_line", "validate_ms", 400, 250, False, "ms"),
        )
    ),
)
"""Every line that is judged. Those that need peers or a long run are `-` in a run that does not measure them."""
