"""Poison in virtual time: it ends with the dead letters, its saga moves on, and no other one waits for it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import PARTITIONS, Address, Message, Reply, partition_of
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.testing.handle import SagaHandle
from saga_engine.testing.system import SagaSystem
from saga_engine.wire.replies import reply_to_message

PAY = """
saga: pay
key: ${{ input.id }}
input: {type: object, required: [id], properties: {id: {type: string}}}
steps:
  - {step: open, call: order.open, compensate: {call: order.close}}
  - step: debit
    call: payment.debit
    compensate: {call: payment.refund}
    retry: {maximum_attempts: 3, initial_interval: 1s, jitter: none}
"""
TOKENS = Tokens({"test": b"no secret"})
"""Those of the system under test."""


def junk(system: SagaSystem, count: int) -> None:
    """So many messages of each kind that nobody can read, before everything that comes later."""
    broker = system._engine.broker
    for _ in range(count):
        broker.store(Message("saga.command.payment.debit", {"saga-key": "nonsense"}, b"{", None))
        for partition in range(PARTITIONS):
            broker.store(Message(f"saga.reply.{partition}.payment", {}, b"\xff", None))


def spoilt_reply(saga_id: UUID, attempt: int) -> Message:
    """What a participant with a defect answers: whose it is can be told, what it says cannot."""
    address = Address(saga_id, "debit", None, Direction.FORWARD)
    token = TOKENS.make(address.key, "payment")
    reply = Reply(
        address,
        "payment",
        partition_of(saga_id),
        attempt,
        1,
        Outcome.SUCCEEDED,
        None,
        "",
        "",
        Effect.UNDONE,
        True,
        token,
        None,
    )
    return replace(reply_to_message(reply), body=b'{"result": NaN}', message_id=None)


def test_a_thousand_unreadable_messages_cost_the_others_no_time() -> None:
    with SagaSystem(PAY) as system:
        junk(system, 100)
        sagas = [system.start("pay", {"id": f"o-{number}"}) for number in range(20)]
        assert system.time == 0
        assert [str(saga.status) for saga in sagas] == ["completed"] * 20
        assert len(system._engine.broker.dead) == 100 * (PARTITIONS + 1)
        assert system._engine.broker.unsettled == 0


def test_replies_that_cannot_be_read_fail_their_step_and_do_not_hang_it() -> None:
    with SagaSystem(PAY) as system:
        system.participant("payment").on("debit").is_silent()
        saga: SagaHandle = system.start("pay", {"id": "o-1"})
        for attempt in (1, 2, 3):
            system._engine.broker.store(spoilt_reply(saga.id, attempt))
            system.advance("1ms")
            system.advance("3s")
        assert str(saga.status) == "compensated"
        assert system.time < 10
        reasons = [letter.headers["saga-reason"] for letter in system._engine.broker.dead]
        assert len(reasons) == 3
        assert all("not JSON" in reason for reason in reasons)
        failure = saga.state.failure
        assert failure is not None
        assert (failure.step, failure.code) == ("debit", "poison")


def test_a_participant_that_repeats_itself_a_thousand_times_changes_nothing_and_holds_nobody_up() -> None:
    with SagaSystem(PAY) as system:
        first = system.start("pay", {"id": "o-1"})
        told = len(first.events)
        for number in range(5_000):
            message = spoilt_reply(first.id, 1)
            repeated = replace(message, body=b'{"result": null}', headers={**message.headers, "saga-send": str(number)})
            system._engine.broker.store(repeated)
        others = [system.start("pay", {"id": f"other-{number}"}) for number in range(5)]
        assert [str(other.status) for other in others] == ["completed"] * 5
        assert system.time == 0
        system.advance("1m")
        assert system._engine.broker.unsettled == 0
        assert len(first.events) == told
