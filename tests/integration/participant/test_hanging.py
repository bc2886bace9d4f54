"""Handlers that hang in their threads: others take their places, and the inbox keeps the effect single."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.participant import Context, Participant
from saga_engine.participant.calls import LONGEST_RUN_US
from saga_engine.participant.registry import merge
from saga_engine.participant.worker import Worker
from saga_engine.sql.schema import inbox_tables
from tests.databases import POSTGRES, Databases
from tests.integration.participant.ledger import enter, entered, metadata
from tests.unit.participant.support import PATIENCE_S, ScriptedTransport, StoppedClock, again, forward, until


@pytest.fixture
def server(databases: Databases, tmp_path: Path) -> Iterator[Engine]:
    """A server's database: in a SQLite file the transaction of a handler that hangs keeps all others from writing."""
    with databases.empty(POSTGRES, tmp_path).engine() as engine:
        inbox_tables.create_all(engine)
        metadata.create_all(engine)
        yield engine


class Shop:
    """Workers of one payment participant with a thread each, whose `debit` hangs until it is `free`, the first time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clock = StoppedClock()
        self.free, self.begun = threading.Event(), threading.Event()
        payment = Participant("payment")

        @payment.command
        def debit(ctx: Context) -> None:
            enter(ctx.db, ctx.saga_id, "debit")
            if not self.begun.is_set():
                self.begun.set()
                assert self.free.wait(PATIENCE_S)

        @payment.command
        def check(ctx: Context) -> None: ...

        self._participant = merge([payment])["payment"]

    def worker(self, transport: ScriptedTransport) -> Worker:
        return Worker(self._participant, transport, self.engine, {}, self.clock, concurrency=1)

    async def hang(self, transport: ScriptedTransport, command: Command) -> None:
        """Let the only thread hang for longer than it may."""
        transport.subscription.deliver(command)
        await until(self.begun.is_set)
        self.clock.at += LONGEST_RUN_US + 1


def no_thread_is_left() -> bool:
    """Whether all threads of the workers have ended, and with them what they asked the database."""
    return not [thread for thread in threading.enumerate() if thread.name.startswith("payment-handler")]


async def test_a_handler_that_hangs_in_its_thread_does_not_hold_up_other_commands(server: Engine) -> None:
    shop, transport = Shop(server), ScriptedTransport()
    worker = shop.worker(transport)
    running = asyncio.create_task(worker.run())
    hanging, others = forward(), [forward("check") for _ in range(5)]
    await shop.hang(transport, hanging)
    for other in others:
        transport.subscription.deliver(other)
    await until(lambda: len(transport.replied) == 5)
    assert {reply.address for reply in transport.replied} == {other.address for other in others}
    shop.free.set()
    await until(lambda: len(transport.replied) == 6)
    assert transport.replied[-1].address == hanging.address
    await worker.stop(PATIENCE_S)
    await running
    await until(no_thread_is_left)


async def test_what_hangs_in_one_worker_has_one_effect_when_another_one_does_it_too(server: Engine) -> None:
    shop, transport, elsewhere = Shop(server), ScriptedTransport(), ScriptedTransport()
    workers = [shop.worker(transport), shop.worker(elsewhere)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    command = forward()
    await shop.hang(transport, command)
    elsewhere.subscription.deliver(again(command), deliveries=2)
    await until(lambda: elsewhere.replied)
    shop.free.set()
    await until(lambda: transport.replied)
    assert [reply.outcome for reply in (*elsewhere.replied, *transport.replied)] == [Outcome.SUCCEEDED] * 2
    assert entered(server, command.address.saga_id) == {"debit": 1}
    for worker in workers:
        await worker.stop(PATIENCE_S)
    await asyncio.gather(*running)
    await until(no_thread_is_left)
