"""The limit's orchestrator: whatever has come is written in one commit; then commands go out and replies are acked.

Eight rows for each saga: its start, three times a command and its success, its end.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
import psycopg
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.limit.jetstream import REPLIES, Publisher, Pull
from benchmarks.limit.rows import EventTable, Row
from benchmarks.orders import Order

ROWS_PER_SAGA: Final = 8

_STEPS: Final = (
    ("create_order", "limit.command.order.create"),
    ("debit_payment", "limit.command.payment.debit"),
    ("approve_order", "limit.command.order.approve"),
)


@dataclass(slots=True)
class _Saga:
    id: str
    data: Order
    ended: asyncio.Future[None]
    step: int = 0
    version: int = 0


@dataclass(slots=True)
class _Group:
    """What goes with one commit."""

    rows: list[Row] = field(default_factory=list)
    commands: list[tuple[str, bytes]] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    ended: list[asyncio.Future[None]] = field(default_factory=list)


class GroupCommitLoop:
    """Runs sagas. `run` may be called again and again, after `start`."""

    def __init__(self, client: Client, table: EventTable) -> None:
        self._client = client
        self._table = table
        self._publisher = Publisher(client)
        self._sagas: dict[str, _Saga] = {}
        self._group = _Group()
        self._work = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None
        self.started = 0

    async def start(self) -> None:
        await self._publisher.start()
        await Pull(self._client, REPLIES, self._on_reply).start()
        self._committing = asyncio.create_task(self._commit_groups())

    async def stop(self) -> None:
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)

    async def run(self, orders: Iterator[Order], in_flight: int) -> None:
        """A saga for each order, so many at a time, until all have ended."""

        async def one_after_the_other() -> None:
            for order in orders:
                await self._begin(order)

        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(one_after_the_other())

    def _begin(self, order: Order) -> asyncio.Future[None]:
        saga = _Saga(str(uuid.uuid4()), order, asyncio.get_running_loop().create_future())
        self.started += 1
        self._sagas[saga.id] = saga
        self._event(saga, "SagaStarted", saga.data)
        self._command(saga)
        self._work.set()
        return saga.ended

    async def _on_reply(self, message: Msg) -> None:
        self._group.replies.append(message.reply)
        reply = orjson.loads(message.data)
        saga = self._sagas[reply["saga_id"]]
        self._event(saga, "StepSucceeded", reply["data"])
        saga.step += 1
        if saga.step < len(_STEPS):
            self._command(saga)
        else:
            self._event(saga, "SagaCompleted", None)
            del self._sagas[saga.id]
            self._group.ended.append(saga.ended)
        self._work.set()

    def _event(self, saga: _Saga, type_: str, data: object) -> None:
        body = orjson.dumps({"saga": "order", "step": saga.step, "data": data, "at": time.time()})
        self._group.rows.append(Row(saga.id, saga.version, type_, body))
        saga.version += 1

    def _command(self, saga: _Saga) -> None:
        """The event holds the whole command, so that it could be sent again from it."""
        step, subject = _STEPS[saga.step]
        command = {
            "id": f"{saga.id}:{saga.step}",
            "saga_id": saga.id,
            "step": step,
            "type": "command",
            "data": saga.data,
        }
        body = orjson.dumps(command)
        self._group.rows.append(Row(saga.id, saga.version, "CommandIssued", body))
        saga.version += 1
        self._group.commands.append((subject, body))

    async def _commit_groups(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            group, self._group = self._group, _Group()
            if not group.rows:
                continue
            try:
                await asyncio.to_thread(self._table.write, group.rows)
            except psycopg.Error as error:
                for saga in self._sagas.values():
                    saga.ended.set_exception(RuntimeError(f"the limit could not commit: {error}"))
                return
            for subject, body in group.commands:
                await self._publisher.publish(subject, body)
            for reply in group.replies:
                await self._client.publish(reply, b"+ACK")
            for ended in group.ended:
                ended.set_result(None)
