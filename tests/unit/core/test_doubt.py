"""The words for a rejection that proves nothing."""

from __future__ import annotations

from saga_engine.core.doubt import MOST_CHARACTERS, in_doubt
from saga_engine.core.events import StepFailed
from saga_engine.testing.expectations import event
from saga_engine.testing.given import given
from saga_engine.testing.moves import reply
from saga_engine.wire.replies import MOST_WORDS

WHY = "it may have had an effect when tried before: the handler has no database to tell"
PIVOT = "saga: s\nsteps:\n  - {step: charge, kind: pivot, call: card.charge}\n"


def test_a_long_message_makes_room_for_the_reason_within_what_is_kept_of_a_message() -> None:
    told = in_doubt("x" * 5_000)
    assert len(told) == MOST_CHARACTERS == MOST_WORDS
    assert told.endswith(f"x ({WHY})")
    assert in_doubt("") == WHY


def test_a_saga_is_told_why_a_later_rejection_of_an_unfenced_pivot_counts_as_failed() -> None:
    again = given(PIVOT).started().when(reply("charge").unfenced().failed()).after("1s")
    again.when(reply("charge").unfenced().rejected("no_money", "declined")).then(
        event(StepFailed, attempt=2, code="no_money", message=f"declined ({WHY})")
    )


def test_a_failure_and_a_rejection_that_an_inbox_vouches_for_keep_their_own_message() -> None:
    again = given(PIVOT).started().when(reply("charge").unfenced().failed()).after("1s")
    again.when(reply("charge").unfenced().failed("down", "no answer")).then(event(StepFailed, message="no answer"))
    again.when(reply("charge").rejected("no_money", "declined")).then_failure("no_money", step="charge")
