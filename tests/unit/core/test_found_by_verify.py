"""Defects that `saga verify` found in random sagas, each as the shortest history that showed it."""

from __future__ import annotations

import pytest

from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import Move, cancel, compensation, reply, resolve, skip
from tests.unit.core.sagas import saga

LEFTOVER_THEN_NO_VALUE = saga(
    """
    step: root, call: p.root, compensate: {call: p.undo_root}
    step: each, call: p.do, for_each: {in: [1], as: item, tolerate: 1}, retry: {maximum_attempts: 1}, compensate: UNDO
    step: end, call: p.end, with: {x: "${{ steps.root.result.absent }}"}, compensate: none
    """
).replace("UNDO", "{call: p.undo, retry: {maximum_attempts: 1}}")
"""A tolerated failure is undone inside the step; then the next step's expression has no value."""


def failed_item() -> Scenario:
    return given(LEFTOVER_THEN_NO_VALUE).started().when(reply("root").succeeded(), reply("each", 0).failed())


def test_a_compensation_that_is_begun_by_undoing_a_tolerated_item_goes_on() -> None:
    failed_item().when(compensation("each", 0).succeeded()).then(
        "StepCompensated each/0",
        "StepSucceeded each",
        "StepRejected end",
        "CompensationBegan end",
        "CommandIssued root compensate",
    ).when(compensation("root").succeeded()).then_status("compensated")


@pytest.mark.parametrize(("act", "ends"), [(skip("each", 0), "closed"), (resolve("each", 0), "compensated")])
def test_a_compensation_that_is_begun_by_an_operators_verb_goes_on(act: Move, ends: str) -> None:
    blocked = failed_item().when(compensation("each", 0).failed()).then_status("blocked")
    blocked.when(act).when(compensation("root").succeeded()).then_status(ends)


def test_a_retriable_loop_without_items_does_not_hide_the_point_of_no_return_behind_it() -> None:
    definition = saga(
        """
        step: first, call: p.first, compensate: {call: p.undo_first}
        step: each, kind: retriable, call: p.do, for_each: {in: "${{ input.items }}", as: item}
        step: last, kind: retriable, call: p.last
        """
    )
    issued = given(definition).started({"items": []}).when(reply("first").succeeded())
    issued.then("StepSucceeded first", "ItemsFixed each", "StepSucceeded each", "CommandIssued last")
    issued.when(cancel()).then("CancelRequested").then_status("running")
