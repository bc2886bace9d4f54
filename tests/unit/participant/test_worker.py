"""The worker's dealings with a transport: replies, acknowledgements, how many at once, stopping."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from saga_engine.core.inputs import Outcome
from saga_engine.errors import UsageError
from saga_engine.participant import Context, Rejected
from saga_engine.wire.commands import command_to_message
from tests.unit.participant.bench import Bench, acked, rows
from tests.unit.participant.support import (
    DAY,
    PATIENCE_S,
    again,
    compensation,
    forward,
    until,
)


async def test_a_command_is_answered_and_acknowledged(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> dict[str, object]:
        return {"receipt": "R-1", "limit": ctx.settings["limit"]}

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        await until(lambda: bench.subscription.acked)
    (reply,) = bench.transport.replied
    assert reply.outcome is Outcome.SUCCEEDED
    assert reply.result == {"receipt": "R-1", "limit": 1_000}
    assert (reply.address, reply.attempt, reply.send, reply.token) == (command.address, 1, 1, "token")
    assert (reply.partition, reply.participant, reply.fenced) == (3, "payment", True)
    assert bench.subscription.acked == [command_to_message(command)]


async def test_a_rejection_is_answered_with_its_code(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None:
        raise Rejected("card_declined", "above the limit")

    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: bench.transport.replied)
    (reply,) = bench.transport.replied
    assert (reply.outcome, reply.code, reply.message) == (Outcome.REJECTED, "card_declined", "above the limit")


async def test_a_command_is_not_acknowledged_before_its_reply_is_confirmed(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    bench.transport.confirming = False
    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: len(bench.transport.batches) >= 3)
        assert bench.subscription.acked == []
        bench.transport.confirming = True
        await until(lambda: bench.subscription.acked)
    assert len(bench.transport.replied) == 1


async def test_replies_are_sent_many_at_once(unfenced: Bench) -> None:
    handled = 0

    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        nonlocal handled
        handled += 1

    unfenced.transport.open.clear()
    async with unfenced.working(concurrency=8):
        unfenced.subscription.deliver(forward())
        await until(lambda: unfenced.transport.batches)
        for _ in range(8):
            unfenced.subscription.deliver(forward())
        await until(lambda: handled == 9)
        unfenced.transport.open.set()
        await until(lambda: len(unfenced.subscription.acked) == 9)
    assert unfenced.transport.batches == [1, 8]


async def test_no_more_than_the_limit_run_at_once(unfenced: Bench) -> None:
    running, most = 0, 0
    free = asyncio.Event()

    @unfenced.payment.command
    async def debit(ctx: Context) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await free.wait()
        running -= 1

    async with unfenced.working(concurrency=3):
        for _ in range(10):
            unfenced.subscription.deliver(forward())
        await until(lambda: running == 3)
        assert len(unfenced.subscription.waiting) == 7
        assert unfenced.subscription.largest_receive <= 3
        free.set()
        await until(lambda: len(unfenced.subscription.acked) == 10)
    assert most == 3


async def test_a_rejection_of_a_compensation_is_answered_as_failed(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    @bench.payment.command
    def refund(ctx: Context) -> None:
        raise Rejected("closed_account")

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        await until(lambda: bench.subscription.acked)
        bench.subscription.deliver(compensation(command))
        await until(lambda: len(bench.subscription.acked) == 2)
    assert [(reply.outcome, reply.code) for reply in bench.transport.replied] == [
        (Outcome.SUCCEEDED, ""),
        (Outcome.FAILED, "closed_account"),
    ]


async def test_a_repeated_command_returns_the_stored_reply(bench: Bench) -> None:
    runs = 0

    @bench.payment.command
    def debit(ctx: Context) -> int:
        nonlocal runs
        runs += 1
        return runs

    command = forward()
    async with bench.working():
        for number, copy in enumerate((command, again(command), again(command, attempt=2)), start=1):
            bench.subscription.deliver(copy)
            await until(partial(acked, bench, number))
    assert runs == 1
    assert {(reply.attempt, reply.send) for reply in bench.transport.replied} == {(1, 1), (1, 2), (2, 1)}
    assert [reply.result for reply in bench.transport.replied] == [1, 1, 1]


async def test_a_participant_without_a_database_cannot_have_a_handler_that_needs_one(unfenced: Bench) -> None:
    @unfenced.payment.command
    def debit(ctx: Context) -> None: ...

    with pytest.raises(UsageError, match=r"participants\.payment\.database.*async"):
        unfenced.worker()


async def test_old_rows_of_the_inbox_are_forgotten_while_the_worker_runs(bench: Bench) -> None:
    @bench.payment.command
    def debit(ctx: Context) -> None: ...

    async with bench.working():
        bench.subscription.deliver(forward())
        await until(lambda: bench.subscription.acked)
        assert rows(bench.engine) == 1
        bench.clock.at += 98 * DAY
        await until(lambda: rows(bench.engine) == 0)
    assert 3600.0 in bench.clock.sleeps


async def test_stopping_finishes_what_runs(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        begun.set()
        assert free.wait(PATIENCE_S)

    async with bench.working() as worker:
        bench.subscription.deliver(forward())
        await until(begun.is_set)
        # It asks for more before it is stopped, or what comes next would be taken in between.
        await until(lambda: bench.subscription.receiving)
        stopping = asyncio.create_task(worker.stop(PATIENCE_S))
        await until(lambda: not bench.subscription.receiving)
        bench.subscription.deliver(forward())
        free.set()
        await stopping
    assert len(bench.transport.replied) == 1
    assert len(bench.subscription.waiting) == 1
    assert bench.subscription.put_back == []
    assert bench.subscription.closed


async def test_stopping_hands_back_what_does_not_end_in_time(bench: Bench) -> None:
    free, begun = threading.Event(), threading.Event()

    @bench.payment.command
    def debit(ctx: Context) -> None:
        begun.set()
        free.wait(PATIENCE_S)

    command = forward()
    async with bench.working() as worker:
        bench.subscription.deliver(command)
        await until(begun.is_set)
        await worker.stop(0.05)
    free.set()
    assert [(call.message, call.delay) for call in bench.subscription.put_back] == [(command_to_message(command), 0)]
    assert bench.transport.published == []
    assert bench.subscription.closed


async def test_stopping_a_worker_that_does_not_run_returns(bench: Bench) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await bench.worker().stop()
