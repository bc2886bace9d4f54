"""natsaga: state and outbox in PostgreSQL, commands and replies over JetStream: `natsaga_peer.py ROLE URL NATS_URL`.

Three processes, as it is deployed: the engine (which starts the others), its outbox relay, and one with the
participants. Settings are the best that were found: 20 in flight, the relay polling every 5 ms.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import uuid
from contextlib import suppress
from typing import ClassVar

import nats
import uvloop
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from nats_outbox.core.models import Base as OutboxTables
from nats_outbox.publishers.nats_publisher import NatsPublisher
from nats_outbox.relay.polling import PollingRelay
from nats_outbox.settings import OutboxSettings
from natsaga.core.models import Base as SagaTables
from natsaga.core.saga import Saga
from natsaga.core.step import Step
from natsaga.listener import SagaListener
from natsaga.orchestrator import SagaOrchestrator
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.orders import Order
from benchmarks.peers.conversation import converse

IN_FLIGHT = 20
RELAY_POLL_S = 0.005
RELAY_BATCH = 100
POOL = 20
STEP_TIMEOUT_S = 600


class OrderSaga(Saga):
    saga_type: ClassVar[str] = "order"

    @classmethod
    def steps(cls) -> list[Step]:
        return [
            Step("create_order", "order.create", "order.reject", STEP_TIMEOUT_S),
            Step("debit_payment", "payment.debit", "payment.refund", STEP_TIMEOUT_S),
            Step("approve_order", "order.approve", "order.unapprove", STEP_TIMEOUT_S),
        ]


class Ends:
    """Who waits for which saga."""

    def __init__(self) -> None:
        self._waiting: dict[uuid.UUID, asyncio.Future[str]] = {}

    def wait_for(self, saga_id: uuid.UUID) -> asyncio.Future[str]:
        return self._waiting.setdefault(saga_id, asyncio.get_running_loop().create_future())

    def ended(self, saga_id: uuid.UUID, how: str) -> None:
        waiting = self._waiting.pop(saga_id, None)
        if waiting is not None:
            waiting.set_result(how)


class Orchestrator(SagaOrchestrator):
    """natsaga's own, which also says when a saga has ended."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], ends: Ends) -> None:
        super().__init__(sessions)
        self._ends = ends

    async def on_step_success(self, saga_id: uuid.UUID, index: int, result: object) -> None:
        await super().on_step_success(saga_id, index, result)
        if index == len(OrderSaga.steps()) - 1:
            self._ends.ended(saga_id, "completed")

    async def on_compensation_success(self, saga_id: uuid.UUID, index: int) -> None:
        await super().on_compensation_success(saga_id, index)
        self._ends.ended(saga_id, "compensated")


async def engine(url: str, broker: str) -> None:
    await _make_tables(url)
    client = await nats.connect(broker)
    jetstream = client.jetstream()
    for name, subjects in (("CMD", ["order.*", "payment.*"]), ("RESP", ["order.*.response.>", "payment.*.response.>"])):
        with suppress(NotFoundError):
            await jetstream.delete_stream(name)
        await jetstream.add_stream(StreamConfig(name=name, subjects=subjects, storage=StorageType.FILE))
    others = [await _start(role, url, broker) for role in ("relay", "participants")]
    ends = Ends()
    orchestrator = Orchestrator(_sessions(url, POOL), ends)
    orchestrator.register(OrderSaga)
    await SagaListener(jetstream, orchestrator, "RESP", ack_wait_seconds=300).subscribe_all()

    async def run_one(order: Order) -> str:
        saga_id = uuid.uuid4()
        ended = ends.wait_for(saga_id)
        await orchestrator.start(OrderSaga, order, saga_id=saga_id)
        return await ended

    try:
        await converse(run_one, IN_FLIGHT)
    finally:
        for other in others:
            other.terminate()
            await other.wait()
        await client.close()


async def relay(url: str, broker: str) -> None:
    client = await nats.connect(broker)
    settings = OutboxSettings(database_url=url, nats_url=broker, polling_interval=RELAY_POLL_S, batch_size=RELAY_BATCH)
    polling = PollingRelay(_sessions(url, 5), await NatsPublisher.from_nats_client(client), settings)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await polling.start()


async def participants(_: str, broker: str) -> None:
    client = await nats.connect(broker)
    jetstream = client.jetstream()

    async def answer(message: Msg) -> None:
        command = json.loads(message.data)
        order = command["saga_payload"]
        if message.subject == "payment.debit" and order["fail"]:
            reply: dict[str, object] = {"outcome": "failure", "error": "payment declined"}
        else:
            reply = {"outcome": "success", "result": {message.subject.replace(".", "_"): order["order_id"]}}
        # As its documentation shows: published without waiting for JetStream.
        subject = f"{message.subject}.response.{command['saga_id']}.{command['step_index']}"
        await client.publish(subject, json.dumps(reply).encode())
        await message.ack()

    for service in ("order", "payment"):
        await jetstream.subscribe(
            f"{service}.*",
            durable=service,
            stream="CMD",
            cb=answer,
            manual_ack=True,
            config=ConsumerConfig(max_ack_pending=20_000),
        )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _sessions(url: str, size: int) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(create_async_engine(url, pool_size=size, max_overflow=0), expire_on_commit=False)


async def _make_tables(url: str) -> None:
    made = create_async_engine(url)
    async with made.begin() as connection:
        await connection.run_sync(OutboxTables.metadata.create_all)
        await connection.run_sync(SagaTables.metadata.create_all)
    await made.dispose()


async def _start(role: str, url: str, broker: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, role, url, broker, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    return process


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    uvloop.run({"engine": engine, "relay": relay, "participants": participants}[sys.argv[1]](*sys.argv[2:4]))
