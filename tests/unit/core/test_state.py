"""Folding: what a state is made of, strictness towards streams that cannot be, and addresses."""

from __future__ import annotations

from uuid import UUID

import pytest

from saga_engine.core import events as e
from saga_engine.core.events import Direction
from saga_engine.core.evolve import evolve, fold
from saga_engine.core.state import SagaState, Status, address, split
from saga_engine.testing.given import given
from saga_engine.testing.moves import compensation, reply, signal
from tests.unit.core.sagas import BOOK, saga

NEW = SagaState(UUID(int=1))


def test_a_stream_folds_to_the_state_that_was_decided_on() -> None:
    ended = given(BOOK).started().when(reply("flight").succeeded(1), reply("hotel").rejected("full"))
    ended = ended.when(compensation("flight").succeeded())
    assert fold(SagaState(ended.state.saga_id), ended.stream) == ended.state
    assert ended.state.version == len(ended.stream)


def test_an_address_is_the_step_or_one_of_its_items() -> None:
    assert [address("pay", None), address("pay", 0), address("pay/debit", 12)] == ["pay", "pay/0", "pay/debit/12"]
    assert [split("pay"), split("pay/0"), split("pay/debit"), split("pay/debit/12")] == [
        ("pay", None),
        ("pay", 0),
        ("pay/debit", None),
        ("pay/debit", 12),
    ]


@pytest.mark.parametrize(
    "event",
    [
        e.CommandIssued(1, "one", Direction.COMPENSATE, 1),
        e.StepSucceeded(1, "one"),
        e.StepFailed(1, "one", 1, "c", "m", None),
        e.StepGivenUp(1, "one", "c", "m"),
        e.TimerFired(1, "one"),
        e.StepCompensated(1, "one", e.Effect.UNDONE),
        e.CompensationFailed(1, "one", 1, "c", "m", None),
        e.OperatorActed(1, e.Verb.SKIP, "one", "who", "why"),
    ],
)
def test_an_event_about_a_step_that_never_opened_does_not_fold(event: e.Event) -> None:
    with pytest.raises((KeyError, ValueError)):
        evolve(NEW, event)


def test_a_wait_cannot_have_succeeded_without_a_signal() -> None:
    waiting = given(saga("step: news, wait: {event: News}")).started()
    with pytest.raises(ValueError, match="News"):
        evolve(waiting.state, e.StepSucceeded(1, "news"))


def test_other_signals_are_kept_in_order() -> None:
    waiting = given(saga("step: nap, sleep: 1s\nstep: news, wait: {event: News}")).started()
    waiting = waiting.when(signal("A", id="1"), signal("News", id="2"), signal("B", id="3")).after("1s")
    assert [kept.name for kept in waiting.state.signals] == ["A", "B"]


def test_three_statuses_are_the_end() -> None:
    assert [status for status in Status if status.ended] == [Status.COMPLETED, Status.COMPENSATED, Status.CLOSED]
