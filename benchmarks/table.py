"""Tables of a run in Markdown: every figure with least, median and most, and every goal with its verdict.

Knows where nothing is written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks.goals import GOALS, SHARE, Goal
from benchmarks.records import Figures, Record, Run


def figures_table(run: Run) -> str:
    """A line for each figure of each workload."""
    return _table(("workload", "figure", "least", "median", "most", "foreign CPU"), _figure_lines(run))


def goals_table(run: Run) -> str:
    """A line for each goal that the run measured."""
    lines = ((goal, goal.values(run)) for goal in GOALS)
    return _table(
        ("goal", "least", "median", "most", "must", "aim", ""),
        ((*_goal_cells(goal, values), _verdict(goal, run)) for goal, values in lines if values),
    )


def shares_table(run: Run, workload: str) -> str:
    """A line for each figure of the workload's one record, which are shares of a whole."""
    (record,) = run.of(workload)
    return shares(record.figures)


def shares(figures: Figures) -> str:
    """A line for each share of a whole."""
    return _table(
        ("what", "share"), [(f"`{what}`" if "(" in what else what, f"{it:.1%}") for what, it in figures.items()]
    )


def record_line(record: Record) -> str:
    """What one repetition measured first of all."""
    figure, value = next(iter(record.figures.items()))
    return f"{record.workload} {record.repetition + 1}: {figure} {shown(value)}, foreign CPU {record.foreign:.0%}"


def summary(run: Run, out: Path) -> str:
    """All figures and all goals of a run, whose records are in that file."""
    return f"{figures_table(run)}\n\n{goals_table(run)}\n\nThe records are in {out}."


def last_line(run: Run) -> str:
    """What a script reads: the share of the limit on the happy path, and the rate."""
    rates = [record.figures["sagas_per_s"] for record in run.of("happy_path")]
    share = SHARE.values(run)
    return f"share={median(share):.2f} sagas_per_s={median(rates):.0f}"


def shown(value: float) -> str:
    """A number with three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _figure_lines(run: Run) -> Iterator[Sequence[str]]:
    for workload in dict.fromkeys(record.workload for record in run.records):
        records = run.of(workload)
        for figure in records[0].figures:
            values = [record.figures[figure] for record in records if figure in record.figures]
            yield (workload, figure, *_spread(values), _foreign(records))


def _goal_cells(goal: Goal, values: Sequence[float]) -> Sequence[str]:
    sign = "≥" if goal.at_least else "≤"
    unit = f" {goal.unit}" if goal.unit else ""
    return (goal.title, *_spread(values), f"{sign} {goal.must:g}{unit}", f"{sign} {goal.aim:g}{unit}")


def _verdict(goal: Goal, run: Run) -> str:
    verdict = goal.verdict(run)
    return f"**{verdict}**" if verdict == "short" else verdict


def _foreign(records: Sequence[Record]) -> str:
    return f"{max(record.foreign for record in records):.0%}"


def _spread(values: Sequence[float]) -> tuple[str, str, str]:
    return shown(min(values)), shown(median(values)), shown(max(values))


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
