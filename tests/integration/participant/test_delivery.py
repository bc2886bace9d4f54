"""Workers on a transport that delivers again what is not settled: one effect and one answer, whoever answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command, Reply
from saga_engine.participant import Context, Participant
from saga_engine.participant.registry import MergedParticipant, merge
from saga_engine.participant.worker import Worker
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import inbox_tables
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.replies import message_to_reply
from tests.integration.participant.ledger import enter, entered, metadata
from tests.unit.participant.support import NOW, PATIENCE_S, again, compensation, forward, until

ACK_WAIT_S = 0.3


class LoopClock:
    """Stands still for the horizon, sleeps for real."""

    def now(self) -> int:
        return NOW

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'payment.db'}")
    inbox_tables.create_all(engine)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


class Hall:
    """A broker, and workers of one payment participant around it."""

    def __init__(self, engine: Engine) -> None:
        self.broker = MemoryBroker(ack_wait=ACK_WAIT_S)
        self.transport = MemoryTransport(self.broker, publish_timeout=ACK_WAIT_S)
        self.engine = engine

    def worker(self, participant: MergedParticipant, concurrency: int = 4) -> Worker:
        return Worker(
            participant, self.transport, self.engine, {}, LoopClock(), concurrency=concurrency, ack_wait=ACK_WAIT_S
        )

    async def send(self, *commands: Command) -> None:
        assert all(await self.transport.publish([command_to_message(command) for command in commands]))

    async def replies(self, count: int) -> list[Reply]:
        subscription = await self.transport.replies([3])
        found: list[Reply] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                deliveries = await subscription.receive(count)
                read = [message_to_reply(delivery.message) for delivery in deliveries]
                found += [reply for reply in read if isinstance(reply, Reply)]
                await subscription.ack(deliveries)
        await subscription.close()
        return found


@pytest.fixture
async def hall(database: Engine) -> Hall:
    return Hall(database)


def payment() -> Participant:
    participant = Participant("payment")

    @participant.command
    def debit(ctx: Context) -> str:
        enter(ctx.db, ctx.saga_id, "debit")
        return "R-1"

    @participant.command
    def refund(ctx: Context) -> None:
        enter(ctx.db, ctx.saga_id, "refund")

    return participant


async def test_two_workers_share_commands_sends_and_compensations(hall: Hall) -> None:
    participant = merge([payment()])["payment"]
    workers = [hall.worker(participant) for _ in range(2)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    commands = [forward() for _ in range(40)]
    undone, kept = commands[:20], commands[20:]
    await hall.send(*commands, *(again(command) for command in commands), *map(compensation, undone))
    replies = await hall.replies(100)
    assert len({reply.message_id for reply in replies}) == 100
    for command in kept:
        assert entered(hall.engine, command.address.saga_id) == {"debit": 1}
    for command in undone:
        effects = entered(hall.engine, command.address.saga_id)
        assert effects in ({}, {"debit": 1, "refund": 1})
    for worker in workers:
        await worker.stop()
    await asyncio.gather(*running)


async def test_a_handler_that_outlasts_the_ack_wait_runs_once(hall: Hall) -> None:
    runs: list[str] = []
    participant = Participant("payment")

    @participant.command
    def debit(ctx: Context) -> None:
        runs.append(ctx.idempotency_key)
        threading.Event().wait(5 * ACK_WAIT_S)

    worker = hall.worker(merge([participant])["payment"])
    running = asyncio.create_task(worker.run())
    command = forward()
    await hall.send(command)
    (reply,) = await hall.replies(1)
    assert (reply.outcome, runs) == (Outcome.SUCCEEDED, [command.key])
    await worker.stop()
    await running


async def test_what_a_stopped_worker_hands_back_another_one_does(hall: Hall) -> None:
    begun = asyncio.Event()
    hanging = Participant("payment")

    @hanging.command
    async def debit(ctx: Context) -> None:
        begun.set()
        await asyncio.Event().wait()

    stuck = hall.worker(merge([hanging])["payment"])
    running = asyncio.create_task(stuck.run())
    command = forward()
    await hall.send(command)
    async with asyncio.timeout(PATIENCE_S):
        await begun.wait()
        await stuck.stop(0)
        await running
    successor = hall.worker(merge([payment()])["payment"])
    working = asyncio.create_task(successor.run())
    (reply,) = await hall.replies(1)
    assert (reply.outcome, reply.result) == (Outcome.SUCCEEDED, "R-1")
    assert entered(hall.engine, command.address.saga_id) == {"debit": 1}
    await successor.stop()
    await working


async def test_answers_survive_a_broker_that_is_away(hall: Hall) -> None:
    gone = threading.Event()
    participant = Participant("payment")

    @participant.command
    def debit(ctx: Context) -> None:
        assert gone.wait(PATIENCE_S)
        enter(ctx.db, ctx.saga_id, "debit")

    commands = [forward() for _ in range(10)]
    worker = hall.worker(merge([participant])["payment"], concurrency=len(commands))
    running = asyncio.create_task(worker.run())
    await hall.send(*commands)
    await until(lambda: hall.broker.next_due(["saga.command.payment"]) is not None)
    hall.broker.stop()
    gone.set()
    await until(lambda: all(entered(hall.engine, command.address.saga_id) for command in commands))
    hall.broker.start()
    replies = await hall.replies(len(commands))
    assert {reply.address for reply in replies} == {command.address for command in commands}
    for command in commands:
        assert entered(hall.engine, command.address.saga_id) == {"debit": 1}
    await worker.stop()
    await running
