"""A running event store in this process, on a free port, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc.aio import AioRpcError, Channel, Metadata, UnaryStreamCall, insecure_channel

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.eventstore import eventstore_pb2 as wire
from saga_engine.eventstore.server import NAME, Endpoint, Work, serve
from saga_engine.eventstore.store import SqlDomainEvents
from tests.databases import Database

T = TypeVar("T")

LOCAL = Endpoint("127.0.0.1:0")


class Client:
    """What a client generated from the .proto does. `token`: sent along with every call."""

    def __init__(self, channel: Channel, token: str | None = None) -> None:
        self._metadata = Metadata(("authorization", f"Bearer {token}")) if token is not None else None
        self._create = channel.unary_unary(
            f"/{NAME}/CreateEvent",
            request_serializer=wire.CreateEventRequest.SerializeToString,
            response_deserializer=wire.CreateEventResponse.FromString,
        )
        self._get = channel.unary_unary(
            f"/{NAME}/GetEvents",
            request_serializer=wire.GetEventsRequest.SerializeToString,
            response_deserializer=wire.GetEventsResponse.FromString,
        )
        self._stream = channel.unary_stream(
            f"/{NAME}/GetEventsStream",
            request_serializer=wire.GetEventsRequest.SerializeToString,
            response_deserializer=wire.Event.FromString,
        )

    async def create(self, event: wire.Event, expected: int | None = None) -> wire.CreateEventResponse:
        request = wire.CreateEventRequest(event=event, expected_version=expected)
        return await self._create(request, metadata=self._metadata, timeout=30)

    async def get(self, request: wire.GetEventsRequest) -> Sequence[wire.Event]:
        answer = await self._get(request, metadata=self._metadata, timeout=30)
        return list(answer.events)

    def stream(self, request: wire.GetEventsRequest) -> UnaryStreamCall[Message, wire.Event]:
        return self._stream(request, metadata=self._metadata, timeout=60)


@dataclass(frozen=True, slots=True)
class Running:
    """A server at work. `stop` ends it, and with it `task`."""

    client: Client
    channel: Channel
    broker: MemoryBroker
    stop: asyncio.Event
    task: asyncio.Task[None]


@asynccontextmanager
async def running(
    database: Database,
    endpoint: Endpoint = LOCAL,
    broker: MemoryBroker | None = None,
    tell: Callable[[Work], None] | None = None,
) -> AsyncIterator[Running]:
    """A server on this database, ended at the end."""
    broker = broker or MemoryBroker()
    sagas, threads, stop, port = database.open_store(), ThreadPoolExecutor(4), asyncio.Event(), asyncio.Queue[int]()
    transport = MemoryTransport(broker, publish_timeout=0.1)

    def run_sync(call: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(threads, call)

    with database.engine() as engine:
        domain = SqlDomainEvents(engine, sagas.now)
        task = asyncio.create_task(
            serve(endpoint, domain, sagas, transport, run_sync, stop, port.put_nowait, tell=tell)
        )
        try:
            channel = insecure_channel(f"127.0.0.1:{await asyncio.wait_for(port.get(), 60)}")
            async with channel:
                yield Running(Client(channel, endpoint.token), channel, broker, stop, task)
                stop.set()
                await asyncio.wait_for(task, 60)
        finally:
            task.cancel()
            await asyncio.wait([task])
            # What a thread is still at would leave its connection behind.
            await asyncio.to_thread(threads.shutdown)
            sagas.close()


def event(event_id: str, **fields: str) -> wire.Event:
    """An event of order o-1, unless the fields say otherwise."""
    made = wire.Event(
        event_id=event_id,
        event_type="ORDERS.created",
        aggregate_id="o-1",
        aggregate_type="order",
        event_data='{"amount": 4200}',
        stream="ORDERS",
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made


async def refusal(call: Awaitable[T]) -> tuple[grpc.StatusCode, str]:
    """The status that a call ends with, and what it says."""
    try:
        answer = await call
    except AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError(f"it was answered: {answer}")


def tokened(token: str) -> Endpoint:
    return replace(LOCAL, token=token)


def ids(events: Sequence[wire.Event]) -> list[tuple[str, int]]:
    """The ids and versions of events, in their order."""
    return [(one.event_id, one.version) for one in events]


async def told(stream: UnaryStreamCall[Message, wire.Event]) -> wire.Event:
    """The next event of a stream."""
    read = await stream.read()
    assert isinstance(read, wire.Event), "the stream has ended"
    return read


async def until(reached: Callable[[], bool]) -> None:
    """Wait until it is so, within a bound."""
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110 - the broker tells nobody what it has stored
            await asyncio.sleep(0.01)
