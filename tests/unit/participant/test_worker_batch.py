"""Handlers for batches in a worker: one transaction for what has arrived, and none for what was tried before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.participant import Context, Rejected
from saga_engine.participant.batches import MOST
from saga_engine.participant.calls import LONGEST_RUN_US
from tests.unit.participant.bench import Bench, rows
from tests.unit.participant.support import PATIENCE_S, StoppedClock, again, compensation, forward, until
from tests.unit.participant.test_worker_trouble import disk_full


@contextmanager
def counted_transactions(engine: Engine | None) -> Iterator[list[int]]:
    assert engine is not None
    seen: list[int] = []

    def count(_connection: Connection) -> None:
        seen.append(1)

    event.listen(engine, "begin", count)
    yield seen
    event.remove(engine, "begin", count)


@pytest.fixture
def held(bench: Bench) -> tuple[threading.Event, threading.Event]:
    """Handlers `hold`, which waits until the test lets it go on, and `debit`; both for batches."""
    begun, free = threading.Event(), threading.Event()

    @bench.payment.command(batch=True)
    def hold(ctx: Context) -> None:
        begun.set()
        assert free.wait(PATIENCE_S)

    @bench.payment.command(batch=True)
    def debit(ctx: Context, command: dict[str, bool]) -> str:
        if command.get("reject"):
            raise Rejected("card_declined")
        if command.get("fail"):
            raise TimeoutError("card network")
        return ctx.idempotency_key

    return begun, free


async def test_what_arrives_while_a_batch_runs_shares_the_next_transaction(
    bench: Bench, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, free = held
    payloads: list[Json] = [{}, {"reject": True}, {"fail": True}] * 20
    commands = [forward(payload=payload) for payload in payloads]
    with counted_transactions(bench.engine) as seen:
        async with bench.working(concurrency=MOST):
            bench.subscription.deliver(forward("hold"))
            await until(begun.is_set)
            for command in commands:
                bench.subscription.deliver(command)
            await until(lambda: not bench.subscription.waiting)
            free.set()
            await until(lambda: len(bench.subscription.acked) == 61)
        # Each alone would take 61. On a slow machine they come in parts, and the worker begins with what is there.
        assert len(seen) <= 10
    by_key = {reply.address.key: reply for reply in bench.transport.replied}
    assert all(by_key[command.key].result == command.key for command in commands[::3])
    assert {by_key[command.key].code for command in commands[1::3]} == {"card_declined"}
    assert {by_key[command.key].code for command in commands[2::3]} == {"timeout_error"}
    assert rows(bench.engine) == 41
    assert {reply.fenced for reply in by_key.values()} == {True}


async def test_a_command_that_needs_no_batch_does_not_wait_behind_those_of_a_full_one(
    bench: Bench, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, free = held
    async with bench.working():
        bench.subscription.deliver(forward("hold"))
        await until(begun.is_set)
        for command in [*(forward() for _ in range(2 * MOST)), *(forward("unknown") for _ in range(3))]:
            bench.subscription.deliver(command)
        await until(lambda: len(bench.subscription.put_back) == 3)
        free.set()
        await until(lambda: len(bench.subscription.acked) == 1 + 2 * MOST)


class BeatingClock(StoppedClock):
    """Whoever sleeps does so until the next beat, which the test gives."""

    def __init__(self) -> None:
        super().__init__()
        self._next = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self._next.wait()

    def beat(self) -> None:
        self._next.set()
        self._next = asyncio.Event()


async def test_beyond_a_full_batch_a_few_are_taken_at_every_beat_and_the_rest_is_left_to_others(
    bench: Bench, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, free = held
    bench.clock = clock = BeatingClock()
    async with bench.working(concurrency=4):
        bench.subscription.deliver(forward("hold"))
        await until(begun.is_set)
        for _ in range(2 * MOST):
            bench.subscription.deliver(forward())
        left: list[int] = []
        for beat in range(3):
            await until(partial(waiting, bench, MOST - 4 * beat))
            left.append(len(bench.subscription.waiting))
            clock.beat()
        await until(partial(waiting, bench, MOST - 12))
        free.set()
        await until(lambda: len(bench.subscription.acked) == 1 + 2 * MOST)
    assert left == [MOST, MOST - 4, MOST - 8]


def waiting(bench: Bench, most: int) -> bool:
    return len(bench.subscription.waiting) <= most


async def test_a_command_that_may_be_poison_shares_no_transaction(
    bench: Bench, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, free = held
    async with bench.working(concurrency=MOST):
        bench.subscription.deliver(forward("hold"))
        await until(begun.is_set)
        for command in [forward() for _ in range(3)]:
            bench.subscription.deliver(again(command))
        await until(lambda: not bench.subscription.waiting)
        with counted_transactions(bench.engine) as seen:
            free.set()
            await until(lambda: len(bench.subscription.acked) == 4)
        assert len(seen) >= 9, "each has one of its own, and two for the count of its tries"


async def test_trouble_of_the_database_puts_a_whole_batch_back(bench: Bench) -> None:
    broken = True

    @bench.payment.command(batch=True)
    def debit(ctx: Context) -> None:
        if broken:
            raise OperationalError("INSERT", {}, disk_full())

    commands = [forward() for _ in range(3)]
    async with bench.working():
        for command in commands:
            bench.subscription.deliver(command)
        await until(lambda: len(bench.subscription.put_back) == 3)
        assert bench.transport.published == []
        broken = False
        for command in commands:
            bench.subscription.deliver(command)
        await until(lambda: len(bench.subscription.acked) == 3)
    assert [reply.outcome for reply in bench.transport.replied] == [Outcome.SUCCEEDED] * 3


async def test_a_command_and_its_compensation_that_arrive_together_are_done_in_that_order(bench: Bench) -> None:
    done: list[str] = []

    @bench.payment.command(batch=True)
    def debit(ctx: Context) -> str:
        done.append("debit")
        return "R-1"

    @bench.payment.command(batch=True)
    def refund(ctx: Context) -> None:
        done.append(f"refund {ctx.result}")

    command = forward()
    async with bench.working():
        bench.subscription.deliver(command)
        bench.subscription.deliver(compensation(command))
        await until(lambda: len(bench.subscription.acked) == 2)
    assert done == ["debit", "refund R-1"]


async def test_a_batch_that_hangs_is_given_up_whole(
    bench: Bench, held: tuple[threading.Event, threading.Event]
) -> None:
    begun, free = held
    with capture_logs() as logs:
        async with bench.working():
            bench.subscription.deliver(forward("hold"))
            bench.subscription.deliver(forward())
            await until(begun.is_set)
            bench.clock.at += LONGEST_RUN_US + 1
            await until(lambda: len(logs) == 2)
            reported = len(bench.subscription.progress)
            slept = len(bench.clock.sleeps)
            await until(lambda: len(bench.clock.sleeps) >= slept + 5)
            assert len(bench.subscription.progress) == reported
            free.set()
            await until(lambda: len(bench.subscription.acked) == 2)
    assert sorted(line["command"] for line in logs) == ["debit", "hold"]
