"""Handlers without a database in a worker: the key, the deadline, and what they may not deny."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from saga_engine.core.inputs import Outcome
from saga_engine.participant import Context, Rejected
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.headers import REASON, RESENT
from tests.unit.participant.bench import Bench, acked
from tests.unit.participant.support import (
    NOW,
    forward,
    until,
)


async def test_an_unfenced_handler_says_so_and_gets_the_idempotency_key(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> str:
        return ctx.idempotency_key

    command = forward()
    async with unfenced.working():
        unfenced.subscription.deliver(command)
        await until(lambda: unfenced.subscription.acked)
    (reply,) = unfenced.transport.replied
    assert (reply.result, reply.fenced) == (command.key, False)


async def test_an_unfenced_handler_is_not_run_past_the_deadline(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    async with unfenced.working():
        unfenced.subscription.deliver(replace(forward(), deadline=NOW))
        await until(lambda: unfenced.subscription.acked)
    assert unfenced.transport.published == []


async def test_a_letter_sent_past_its_deadline_is_with_the_dead_letters_again(
    unfenced: Bench,
) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        raise AssertionError("must not run")

    late = command_to_message(replace(forward(), deadline=NOW))
    async with unfenced.working():
        unfenced.subscription.deliver(replace(late, headers={**late.headers, RESENT: "7"}))
        await until(lambda: unfenced.subscription.acked)
    assert "deadline" in unfenced.transport.buried[0].headers[REASON]
    assert [reply.code for reply in unfenced.transport.replied] == ["deadline_passed"]


async def test_an_unfenced_handler_is_stopped_at_the_deadline(unfenced: Bench) -> None:
    stopped = False

    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped = True

    async with unfenced.working():
        unfenced.subscription.deliver(replace(forward(), deadline=NOW + 20_000))
        await until(lambda: unfenced.subscription.acked)
    (reply,) = unfenced.transport.replied
    assert (reply.outcome, reply.code, stopped) == (Outcome.FAILED, "deadline_passed", True)


@pytest.mark.parametrize("database", [False, True], ids=["no database", "mixed"])
async def test_an_unfenced_handler_that_rejects_a_redelivery_does_not_deny_the_effect_of_an_earlier_one(
    bench: Bench, unfenced: Bench, database: bool
) -> None:
    chosen = bench if database else unfenced

    @chosen.payment.command
    async def debit(ctx: Context) -> None:
        raise Rejected("card_declined", "no more credit")

    async with chosen.working():
        for number, deliveries in enumerate((1, 2), start=1):
            chosen.subscription.deliver(forward(), deliveries)
            await until(partial(acked, chosen, number))
    assert [(reply.outcome, reply.code, reply.message) for reply in chosen.transport.replied] == [
        (Outcome.REJECTED, "card_declined", "no more credit"),
        (
            Outcome.FAILED,
            "card_declined",
            "no more credit (it may have had an effect when tried before: the handler has no database to tell)",
        ),
    ]


async def test_a_fenced_handler_may_reject_a_redelivery(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise Rejected("card_declined")

    async with bench.working():
        bench.subscription.deliver(forward(), deliveries=2)
        await until(lambda: bench.subscription.acked)
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.REJECTED]


async def test_a_handler_that_lets_the_cancellation_of_something_else_pass_has_failed(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        other = asyncio.create_task(asyncio.Event().wait())
        other.cancel()
        await other

    async with unfenced.working():
        unfenced.subscription.deliver(forward())
        await until(lambda: unfenced.subscription.acked)
    assert [(reply.outcome, reply.code) for reply in unfenced.transport.replied] == [
        (Outcome.FAILED, "cancelled_error")
    ]


async def test_handlers_that_never_wait_are_taken_many_at_once(unfenced: Bench) -> None:
    @unfenced.payment.command
    async def debit(ctx: Context) -> None: ...

    for _ in range(300):
        unfenced.subscription.deliver(forward())
    async with unfenced.working(concurrency=2):
        await until(lambda: len(unfenced.subscription.acked) == 300)
    assert unfenced.subscription.largest_receive >= 100
    assert len(unfenced.transport.batches) < 30
