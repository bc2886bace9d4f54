"""A worker with everything around it under control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Engine, func, select

from saga_engine.participant import Participant
from saga_engine.participant.registry import merge
from saga_engine.participant.worker import Worker
from saga_engine.sql.schema import inbox
from tests.unit.participant.support import (
    PATIENCE_S,
    SETTINGS,
    ScriptedTransport,
    StoppedClock,
)


class Bench:
    """The worker of one participant, `payment`, to which the test adds handlers."""

    def __init__(self, engine: Engine | None) -> None:
        self.engine = engine
        self.transport = ScriptedTransport()
        self.subscription = self.transport.subscription
        self.clock = StoppedClock()
        self.payment = Participant("payment")

    def worker(self, concurrency: int = 4) -> Worker:
        participant = merge([self.payment])["payment"]
        return Worker(participant, self.transport, self.engine, SETTINGS, self.clock, concurrency)

    @asynccontextmanager
    async def working(self, concurrency: int = 4) -> AsyncIterator[Worker]:
        worker = self.worker(concurrency)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            running = group.create_task(worker.run())
            yield worker
            await worker.stop(5)
            await running


def rows(engine: Engine | None) -> int:
    assert engine is not None
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(inbox)).scalar_one()


def acked(bench: Bench, count: int) -> bool:
    return len(bench.subscription.acked) == count


def put_back(bench: Bench, count: int) -> bool:
    return len(bench.subscription.put_back) == count
