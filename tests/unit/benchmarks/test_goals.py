"""A goal is judged by the median of its ratios, each made within one repetition."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.goals import GOALS, SHARE, Goal, Source
from benchmarks.records import Record, Run
from benchmarks.table import goals_table, last_line


def run_of(limit: Sequence[float], happy: Sequence[float]) -> Run:
    """A run that measured the limit and the happy path so often, at these rates."""
    run = Run("bench", "abc", "2026-01-01T00:00:00+00:00", {}, {})
    for workload, rates in (("limit", limit), ("happy_path", happy)):
        for repetition, rate in enumerate(rates):
            run.records.append(Record(workload, repetition, 0.0, {"sagas_per_s": rate}))
    return run


def test_a_share_is_made_repetition_by_repetition_and_not_of_medians() -> None:
    run = run_of(limit=[1000, 4000, 2000], happy=[500, 1000, 1000])

    assert SHARE.values(run) == [0.5, 0.25, 0.5]


@pytest.mark.parametrize(
    ("happy", "verdict"), [([420, 420, 420], "short"), ([420, 430, 440], "pass"), ([600, 599, 700], "aim")]
)
def test_the_median_decides_whether_a_goal_is_short_passed_or_at_its_aim(happy: list[float], verdict: str) -> None:
    assert SHARE.verdict(run_of([1000, 1000, 1000], happy)) == verdict


def test_less_is_better_where_a_goal_says_so() -> None:
    goal = Goal("memory", Source("happy_path", "sagas_per_s"), must=150, aim=110, at_least=False)

    assert [goal.verdict(run_of([], [mb])) for mb in (151, 150, 110)] == ["short", "pass", "aim"]


def test_what_a_run_did_not_measure_is_neither_judged_nor_shown() -> None:
    run = run_of(limit=[], happy=[100])

    assert SHARE.verdict(run) == "-"
    assert SHARE.title not in goals_table(run)


def test_the_last_line_is_the_share_and_the_rate() -> None:
    assert last_line(run_of([1000, 1000, 1000], [470, 460, 480])) == "share=0.47 sagas_per_s=470"


def test_every_aim_is_at_least_as_hard_as_its_must() -> None:
    assert [goal.title for goal in GOALS if (goal.aim < goal.must if goal.at_least else goal.aim > goal.must)] == []
