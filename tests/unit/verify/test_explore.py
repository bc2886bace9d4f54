"""What holds for sound definitions, what is found in unsound ones, and what is said when the bounds are too small."""

from __future__ import annotations

from pathlib import Path

import pytest

from saga_engine.cli.fences import Fences
from saga_engine.cli.whole import read_whole
from saga_engine.core import events as e
from saga_engine.verify.explore import Bounds, explore, find_cycle
from tests.unit.verify.support import (
    FORK,
    LEFTOVERS,
    LINEAR,
    LOOP,
    NO_ITEMS,
    PIVOT,
    WAITS,
    broken_rule,
    define,
    explored,
    with_inbox,
    without_inbox,
)

ROOT = Path(__file__).parents[3]
SHIPPED = sorted([*ROOT.glob("definitions/*.yaml"), *ROOT.glob("examples/*.yaml")])

CROSSED = """
saga: crossed
version: 1
steps:
  - {step: a, call: one.do, compensate: {call: two.undo}}
"""

ENDLESS_WAIT = """
saga: endless
version: 1
steps:
  - {step: a, call: one.do, compensate: {call: one.undo}}
  - {step: w, wait: {event: Approved}}
"""


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_saga_is_proved_with_three_faults(file: Path) -> None:
    whole = read_whole(file)
    result = explore(whole.definition, Fences(whole.catalogue, "", frozenset()), Bounds(faults=3))
    assert result.counter_example is None
    assert result.proved
    assert {"completed", "compensated"} <= set(result.ends)


@pytest.mark.parametrize("text", [LINEAR, FORK, PIVOT, LOOP, WAITS, LEFTOVERS, NO_ITEMS])
def test_sound_sagas_are_proved(text: str) -> None:
    result = explored(text)
    assert result.counter_example is None
    assert result.proved


@pytest.mark.parametrize("text", [LINEAR, FORK, LOOP, WAITS])
def test_sagas_without_inboxes_are_proved_unless_they_have_a_pivot(text: str) -> None:
    assert explored(text, fenced=without_inbox).proved


def test_a_pivot_without_an_inbox_may_be_asked_for_ever() -> None:
    assert broken_rule(explored(PIVOT, fenced=without_inbox)) == "every saga ends"


def test_a_compensation_at_another_participant_leaves_late_commands_unrefused() -> None:
    assert broken_rule(explored(CROSSED)) == "every effect is undone"


def test_a_wait_without_any_time_limit_may_never_end() -> None:
    result = explored(ENDLESS_WAIT)
    assert broken_rule(result) == "every saga ends"
    assert result.counter_example is not None
    assert "w (waiting)" in result.counter_example.violation.what


def test_the_time_limit_of_the_saga_bounds_its_waits() -> None:
    assert explored(ENDLESS_WAIT.replace("version: 1", "version: 1\ntimeout: 1h")).proved


def test_the_counter_example_has_the_fewest_faults_and_shows_events() -> None:
    example = explored(CROSSED, faults=3).counter_example
    assert example is not None
    assert example.faults == 0
    kinds = [type(event) for happened in example.happened for event in happened.events]
    assert kinds[0] is e.SagaStarted
    assert kinds[-1] is e.SagaCompensated


def test_both_values_of_a_condition_are_explored() -> None:
    text = """
saga: branch
version: 1
steps:
  - {step: a, if: "${{ input.x }}", call: one.do, compensate: {call: one.undo}}
"""
    assert explored(text, faults=0).ends["completed"] == 2


def test_conditions_that_are_written_alike_are_alike() -> None:
    text = """
saga: branch
version: 1
steps:
  - {step: a, needs: [], if: "${{ input.x }}", call: one.do, compensate: none}
  - {step: b, needs: [], if: "${{ input.x }}", call: two.do, compensate: none}
"""
    assert explored(text, faults=0).ends["completed"] == 2


def test_too_few_states_prove_nothing() -> None:
    result = explored(FORK, states=20)
    assert (result.states, result.exhausted, result.proved, result.counter_example) == (20, False, False, None)


def test_more_faults_reach_more_states() -> None:
    sizes = [explored(LINEAR, faults=faults).states for faults in (0, 1, 2, 3)]
    assert sizes == sorted(set(sizes))


def test_the_result_is_the_same_every_time() -> None:
    assert explored(FORK, faults=1) == explored(FORK, faults=1)


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    text = FORK + "  - {step: e, call: five.do, compensate: {call: five.undo}}\n"
    explore(define(text), with_inbox, Bounds(3, 1_200), lambda states, waiting: told.append((states, waiting)))
    assert [states for states, _ in told] == [500, 1_000]


@pytest.mark.parametrize(
    ("edges", "cyclic"),
    [([[1], [2], []], False), ([[1], [2], [1]], True), ([[0]], True), ([], False), ([[1], [2], [3], [1], [1]], True)],
)
def test_cycles_are_found(edges: list[list[int]], cyclic: bool) -> None:
    found = find_cycle(edges)
    assert (found is not None) is cyclic
    if found is not None:
        reached, waiting = set(), list(edges[found])
        while waiting:
            node = waiting.pop()
            if node not in reached:
                reached.add(node)
                waiting += edges[node]
        assert found in reached
