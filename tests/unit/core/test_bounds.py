"""A stream that has become too long: what stops it, and what stays possible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saga_engine.core.bounds import MOST_EVENTS, MOST_ITEMS, SIGNAL_EVENTS
from saga_engine.core.events import StepBlocked
from saga_engine.testing.expectations import event
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply, resolve, retry, signal, skip, suspend
from tests.unit.core.sagas import BOOK, PIVOT, saga

ENDLESS = saga(
    """
    step: one, call: p.one, compensate: {call: p.undo_one}
    step: two, call: p.two, compensate: none
    """
)


def _aged(scenario: Scenario, version: int = MOST_EVENTS) -> Scenario:
    """The same saga after so many events, as signals, attempts and operators can bring about."""
    return replace(scenario, state=replace(scenario.state, version=version))


def test_a_saga_at_its_limit_is_compensated_instead_of_going_on() -> None:
    aged = _aged(given(ENDLESS).started().when(reply("one").succeeded()))
    ended = aged.when(reply("two").failed("busy"))
    ended.then("StepFailed two", "CompensationBegan", "StepGivenUp two", "CommandIssued one compensate")
    ended.then_failure("too_many_events")
    ended.when(compensation("one").succeeded()).then_status("compensated")


def test_the_event_before_the_limit_changes_nothing() -> None:
    young = _aged(given(ENDLESS).started().when(reply("one").succeeded()), MOST_EVENTS - 2)
    young.when(reply("two").failed("busy")).then("StepFailed two").then_status("running")


def test_an_answer_that_completes_the_saga_completes_it_also_at_the_limit() -> None:
    aged = _aged(given(ENDLESS).started().when(reply("one").succeeded()))
    aged.when(reply("two").succeeded()).then("StepSucceeded two", "SagaCompleted")


def test_a_compensation_keeps_all_its_attempts_at_the_limit() -> None:
    scenario = _aged(given(ENDLESS).started().when(reply("one").succeeded(), reply("two").rejected("no")))
    for _ in range(19):
        scenario = scenario.when(compensation("one").failed("broken")).then_status("compensating").after("10m")
    scenario.when(compensation("one").failed("broken")).then_status("blocked")


def test_past_the_point_of_no_return_the_next_failed_attempt_blocks_and_every_verb_helps() -> None:
    passed = _aged(given(PIVOT).started().when(reply("reserve").succeeded(), reply("charge").succeeded()))
    held = passed.when(reply("ship").failed("full"))
    held.then("StepFailed ship", event(StepBlocked, step="ship", code="too_many_events")).then_status(
        "blocked"
    ).then_due_in(None)
    held.when(cancel()).then_status("blocked")
    held.when(skip()).then("OperatorActed ship", "StepSkipped ship", "SagaCompleted")
    held.when(resolve()).then("OperatorActed ship", "StepSucceeded ship", "SagaCompleted")
    again = held.when(retry()).then("OperatorActed ship", "CommandIssued ship attempt 2").then_status("running")
    again.when(reply("ship").succeeded()).then("StepSucceeded ship", "SagaCompleted")
    again.when(reply("ship").failed("full")).then_status("blocked")


def test_a_pivot_that_is_blocked_by_the_limit_still_takes_its_answer() -> None:
    held = _aged(given(PIVOT).started().when(reply("reserve").succeeded())).when(reply("charge").failed("unsure"))
    held.then("StepFailed charge", event(StepBlocked, step="charge", code="too_many_events")).then_status("blocked")
    held.when(reply("charge").failed("unsure")).then_nothing().then_ignored("an earlier attempt's")
    held.when(reply("charge").succeeded()).then("StepSucceeded charge", "CommandIssued ship").then_status("running")
    refused = held.when(reply("charge").rejected("declined"))
    refused.then("StepRejected charge", "CompensationBegan charge", "CommandIssued reserve compensate")
    retried = held.when(retry()).then("OperatorActed charge", "CommandIssued charge attempt 2")
    retried.when(reply("charge").unfenced().rejected("no")).then_status("blocked")


def test_signals_are_refused_before_the_limit_so_that_they_cannot_end_a_saga() -> None:
    text = saga("step: wait, wait: {event: News}")
    waiting = given(text).started()
    _aged(waiting, SIGNAL_EVENTS - 1).when(signal("Other")).then("SignalReceived")
    refused = _aged(waiting, SIGNAL_EVENTS).when(signal("News")).then_nothing()
    refused.then_refused("the saga has 9,000 events; signals are taken up to 9,000")


def test_an_operator_can_act_at_the_limit() -> None:
    _aged(given(BOOK).started()).when(cancel("enough")).then_failure("cancelled")
    _aged(given(BOOK).started()).when(suspend()).then("Suspended", "CompensationBegan").then_status("suspended")


@pytest.mark.parametrize(("count", "status"), [(MOST_ITEMS, "running"), (MOST_ITEMS + 1, "compensated")])
def test_a_loop_takes_as_many_items_as_cannot_pass_the_limit(count: int, status: str) -> None:
    text = saga(
        'step: each, call: p.do, compensate: none, for_each: {in: "${{ input.items }}", max_parallel: 1}, '
        "with: {n: '${{ item }}'}"
    )
    started = given(text).started({"items": list(range(count))}).then_status(status)
    if count > MOST_ITEMS:
        started.then_failure("expression", step="each")
