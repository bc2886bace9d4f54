"""The fence, command by command: stored replies, tombstones, rejections, and what a handler may not do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, func, select

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant, Rejected, inbox
from saga_engine.participant.answers import Answer
from saga_engine.participant.fence import Fence
from saga_engine.participant.horizon import HORIZON_US, MARGIN_US, forget
from saga_engine.participant.registry import merge
from saga_engine.sql import schema
from tests.integration.participant.ledger import enter, entered
from tests.integration.participant.payments import Payment
from tests.unit.participant.support import DAY, NOW, again, compensation, forward, saga_id


@pytest.fixture
def payment(engine: Engine) -> Payment:
    return Payment(engine)


def test_a_repeated_command_returns_the_stored_reply(payment: Payment) -> None:
    command = forward()
    first = payment.run(command)
    assert first == Answer(Outcome.SUCCEEDED, result={"receipt": "R-debit"})
    payment.raising = AssertionError("must not run again")
    assert payment.run(again(command)) == first
    assert payment.run(again(command, attempt=3)) == first
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1}


def test_a_rejection_is_stored_and_leaves_nothing(payment: Payment) -> None:
    command = forward()
    payment.raising = Rejected("card_declined", "no money\x00there")
    first = payment.run(command)
    assert first == Answer(Outcome.REJECTED, code="card_declined", message="no money there")
    payment.raising = None
    assert payment.run(again(command)) == first
    assert entered(payment.engine, command.address.saga_id) == {}


def test_a_failure_is_not_stored_and_leaves_nothing(payment: Payment) -> None:
    command = forward()
    payment.raising = TimeoutError("card network")
    assert payment.run(command) == Answer(Outcome.FAILED, code="timeout_error", message="card network")
    assert entered(payment.engine, command.address.saga_id) == {}
    payment.raising = None
    assert payment.run(again(command, attempt=2)).outcome is Outcome.SUCCEEDED
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1}


def test_a_compensation_undoes_what_was_done_once(payment: Payment) -> None:
    command = forward()
    payment.run(command)
    undo = compensation(command)
    first = payment.run(undo)
    assert (first.outcome, first.effect) == (Outcome.SUCCEEDED, Effect.UNDONE)
    assert payment.run(again(undo)) == first
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1, "refund": 1}


def test_a_compensation_sees_the_result_even_when_the_reply_was_lost(payment: Payment) -> None:
    command = forward()
    payment.run(command)
    payment.run(compensation(command, result=None))
    assert payment.results_seen == [None, {"receipt": "R-debit"}]


def test_a_compensation_that_comes_first_leaves_a_tombstone(payment: Payment) -> None:
    command = forward()
    undo = compensation(command)
    first = payment.run(undo)
    assert (first.outcome, first.effect) == (Outcome.SUCCEEDED, Effect.NONE)
    late = payment.run(command)
    assert (late.outcome, late.code) == (Outcome.REJECTED, "tombstone")
    assert payment.run(again(undo)) == first
    assert entered(payment.engine, command.address.saga_id) == {}
    assert payment.recorded(command.key, undo.key) == {
        command.key: inbox.Recorded.TOMBSTONE,
        undo.key: inbox.Recorded.SUCCEEDED,
    }


def test_the_compensation_of_a_rejected_command_has_nothing_to_undo(payment: Payment) -> None:
    command = forward()
    payment.raising = Rejected("card_declined")
    payment.run(command)
    assert payment.run(compensation(command)).effect is Effect.NONE
    assert entered(payment.engine, command.address.saga_id) == {}


def test_the_compensation_of_a_failed_command_has_nothing_to_undo_and_fences_it_off(payment: Payment) -> None:
    command = forward()
    payment.raising = TimeoutError()
    payment.run(command)
    payment.raising = None
    assert payment.run(compensation(command)).effect is Effect.NONE
    assert payment.run(again(command)).code == "tombstone"
    assert entered(payment.engine, command.address.saga_id) == {}


def test_a_compensation_that_fails_is_run_again(payment: Payment) -> None:
    command = forward()
    payment.run(command)
    payment.raising = TimeoutError()
    assert payment.run(compensation(command)).outcome is Outcome.FAILED
    payment.raising = None
    assert payment.run(again(compensation(command), attempt=2)).effect is Effect.UNDONE
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1, "refund": 1}


def test_a_rejected_compensation_is_not_stored(payment: Payment) -> None:
    command = forward()
    payment.run(command)
    payment.raising = Rejected("account_closed")
    assert payment.run(compensation(command)).code == "account_closed"
    assert payment.recorded(compensation(command).key) == {}
    payment.raising = None
    assert payment.run(again(compensation(command), attempt=2)).outcome is Outcome.SUCCEEDED
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1, "refund": 1}


def test_a_rejection_is_not_stored_where_the_command_must_succeed(payment: Payment) -> None:
    command = forward(must_succeed=True)
    payment.raising = Rejected("not_pending")
    assert payment.run(command).code == "not_pending"
    assert payment.recorded(command.key) == {}
    payment.raising = None
    assert payment.run(again(command, attempt=2)).outcome is Outcome.SUCCEEDED
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1}


def test_a_stored_rejection_does_not_bind_once_the_command_must_succeed(payment: Payment) -> None:
    command = forward()
    payment.raising = Rejected("not_yet")
    payment.run(command)
    payment.raising = None
    must = replace(again(command), must_succeed=True)
    first = payment.run(must)
    assert first.outcome is Outcome.SUCCEEDED
    assert payment.run(again(must)) == first
    assert entered(payment.engine, command.address.saga_id) == {"debit": 1}


def test_a_step_with_a_known_result_is_undone_even_when_the_inbox_lost_it(payment: Payment) -> None:
    command = forward()
    undo = compensation(command, result={"receipt": "R-1"})
    assert payment.run(undo).effect is Effect.UNDONE
    assert payment.results_seen == [{"receipt": "R-1"}]
    assert payment.run(command).code == "tombstone"


def test_a_compensation_is_run_when_the_inbox_may_have_forgotten_the_step(payment: Payment) -> None:
    old = forward(saga=saga_id(NOW - 120 * DAY))
    assert payment.run(compensation(old)).effect is Effect.UNDONE
    recent = forward(saga=saga_id(NOW - 96 * DAY))
    assert payment.run(compensation(recent)).effect is Effect.NONE


@pytest.mark.parametrize("undone", [None, "payment.charge", "payment.gone", "wallet.debit"])
def test_a_compensation_is_run_when_the_inbox_cannot_know_of_the_step(engine: Engine, undone: str | None) -> None:
    payment = Payment(engine, mixed=True)
    command = forward()
    assert payment.run(replace(compensation(command), undone_command=undone)).effect is Effect.UNDONE
    assert payment.run(command).code == "tombstone"
    assert entered(engine, command.address.saga_id) == {"refund": 1}


@pytest.mark.parametrize("mixed", [False, True])
def test_a_compensation_of_a_fenced_step_without_a_trace_has_nothing_to_undo(engine: Engine, mixed: bool) -> None:
    payment = Payment(engine, mixed=mixed)
    undo = replace(compensation(forward()), undone_command="payment.debit")
    assert payment.run(undo).effect is Effect.NONE
    assert entered(engine, undo.address.saga_id) == {}


def test_the_step_of_another_participant_is_undone_without_a_trace(payment: Payment) -> None:
    undo = replace(compensation(forward()), undone_command="wallet.debit")
    assert payment.run(undo).effect is Effect.UNDONE


def test_an_unfenced_compensation_leaves_a_tombstone_too(payment: Payment) -> None:
    command = forward()
    assert payment.admit(command) is None
    assert payment.admit(compensation(command)) is None
    assert payment.admit(again(compensation(command))) is None
    refusal = payment.admit(command)
    assert refusal is not None
    assert refusal.code == "tombstone"
    assert payment.run(command).code == "tombstone"


def run(participant: Participant, engine: Engine, command: Command) -> Answer:
    merged = merge([participant])[participant.name]
    return Fence(merged, engine, {}).execute(merged.handlers[command.command], command, NOW)


def test_a_handler_that_commits_is_refused_and_leaves_nothing(engine: Engine) -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context) -> None:
        enter(ctx.db, ctx.saga_id, "debit")
        ctx.db.commit()

    command = forward()
    answer = run(payment, engine, command)
    assert (answer.outcome, answer.code) == (Outcome.FAILED, "usage_error")
    assert "must not commit" in answer.message
    assert entered(engine, command.address.saga_id) == {}


def test_a_handler_may_use_savepoints(engine: Engine) -> None:
    payment = Participant("payment")

    @payment.command
    def debit(ctx: Context) -> None:
        with ctx.db.begin_nested() as savepoint:
            enter(ctx.db, ctx.saga_id, "mistake")
            savepoint.rollback()
        enter(ctx.db, ctx.saga_id, "debit")

    command = forward()
    answer = run(payment, engine, command)
    assert answer.outcome is Outcome.SUCCEEDED
    assert entered(engine, command.address.saga_id) == {"debit": 1}


def test_a_bad_statement_of_a_handler_is_a_failure(payment: Payment) -> None:
    payment.statement = "SELECT nonsense FROM nowhere"
    command = forward()
    answer = payment.run(command)
    assert answer.outcome is Outcome.FAILED
    assert answer.code in ("operational_error", "programming_error")
    assert payment.recorded(command.key) == {}


def test_what_is_older_than_horizon_and_margin_is_forgotten(payment: Payment) -> None:
    kept_for = HORIZON_US + MARGIN_US
    old = [forward(saga=saga_id(NOW - kept_for - DAY)) for _ in range(3)]
    old = [replace(command, issued_at=NOW - kept_for - 1) for command in old]
    at_the_limit = replace(forward(saga=saga_id(NOW - kept_for - DAY)), issued_at=NOW - kept_for)
    recent = forward()
    for command in (*old, at_the_limit, recent):
        payment.run(command)
    assert forget(payment.engine, NOW) == 3
    assert forget(payment.engine, NOW) == 0
    with payment.engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(schema.inbox)).scalar_one() == 2
    assert set(payment.recorded(at_the_limit.key, recent.key)) == {at_the_limit.key, recent.key}
