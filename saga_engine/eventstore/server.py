"""The running event store: the gRPC server with its appender, feed and relay, from listening to an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from grpc.aio import Server, server

from saga_engine.errors import UsageError
from saga_engine.eventstore import eventstore_pb2 as wire
from saga_engine.eventstore.access import TokenCheck
from saga_engine.eventstore.appender import Appender
from saga_engine.eventstore.event import MOST_DATA_BYTES, Entry
from saga_engine.eventstore.feed import Feed
from saga_engine.eventstore.library import Library
from saga_engine.eventstore.relay import Relay
from saga_engine.eventstore.service import EventStoreService
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.ports.store import EventStore, RunSync
from saga_engine.ports.transport import Transport
from saga_engine.tally import Tally
from saga_engine.tasks import end_tasks

NAME: Final = "eventstore.EventStore"

_GRACE_S: Final = 5.0
"""How long calls under way may take to end when the server stops."""

_MOST_MESSAGE: Final = 2 * MOST_DATA_BYTES
_MOST_CALLS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's certificate chain and private key, PEM."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen (`host:port`; port 0: any that is free), and who may call. `token` None: everybody.

    `event_types`: which are taken, as patterns; none: all.
    """

    address: str
    token: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    event_types: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What a running event store has done and is at."""

    appender: Appender
    relay: Relay
    feed: Feed

    @property
    def stored(self) -> int:
        return self.appender.stored

    @property
    def appending(self) -> Tally:
        return self.appender.committing

    @property
    def waiting(self) -> int:
        return self.appender.waiting

    @property
    def published(self) -> int:
        return self.relay.published

    @property
    def unpublished(self) -> int:
        return self.relay.behind

    @property
    def followers(self) -> int:
        return self.feed.followers


async def serve(
    endpoint: Endpoint,
    domain: SqlDomainEvents,
    sagas: EventStore,
    transport: Transport,
    run_sync: RunSync,
    stop: asyncio.Event,
    ready: Callable[[int], None],
    alongside: Sequence[Awaitable[None]] = (),
    tell: Callable[[Work], None] | None = None,
) -> None:
    """Serve until `stop` is set. `ready` is told the port once calls are taken. `alongside`: ends it all if it fails.

    `tell` is given what the service does, before it takes calls.

    Raises `UsageError` when the address cannot be listened on, or the certificate cannot be used.
    """
    library = Library(domain, sagas)
    feed = Feed(library.versions, run_sync)
    relay = Relay(domain, transport, run_sync)

    def stored(entries: Sequence[Entry]) -> None:
        feed.ring({entry.event.aggregate.id for entry in entries})
        relay.ring()

    appender = Appender(domain.append, run_sync, stored)
    grpc_server = _server(endpoint, EventStoreService(library, appender, feed, run_sync, endpoint.event_types))
    port = _listen(grpc_server, endpoint)
    if tell is not None:
        tell(Work(appender, relay, feed))
    tasks = [asyncio.ensure_future(part) for part in (appender.run(), feed.run(), relay.run(), *alongside)]
    stopping = asyncio.create_task(stop.wait())
    try:
        await grpc_server.start()
        ready(port)
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        feed.close()
        await grpc_server.stop(_GRACE_S)
        await end_tasks([stopping, *tasks])


def _server(endpoint: Endpoint, service: EventStoreService) -> Server:
    made = server(
        interceptors=[] if endpoint.token is None else [TokenCheck(endpoint.token)],
        # A call beyond these is answered RESOURCE_EXHAUSTED by gRPC itself.
        maximum_concurrent_rpcs=_MOST_CALLS,
        options=[
            ("grpc.max_receive_message_length", _MOST_MESSAGE),
            # Beyond these gRPC drops calls as if they had been cancelled; ours is the limit that is told.
            ("grpc.server.max_pending_requests", 2 * _MOST_CALLS),
            ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_CALLS),
            # Else a second server could silently share the port.
            ("grpc.so_reuseport", 0),
            # A follower whose machine has gone is noticed, and no longer counts.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ],
    )
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, _methods(service)),))
    return made


def _methods(service: EventStoreService) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    return {
        "CreateEvent": grpc.unary_unary_rpc_method_handler(
            service.create_event,
            request_deserializer=wire.CreateEventRequest.FromString,
            response_serializer=wire.CreateEventResponse.SerializeToString,
        ),
        "GetEvents": grpc.unary_unary_rpc_method_handler(
            service.get_events,
            request_deserializer=wire.GetEventsRequest.FromString,
            response_serializer=wire.GetEventsResponse.SerializeToString,
        ),
        "GetEventsStream": grpc.unary_stream_rpc_method_handler(
            service.get_events_stream,
            request_deserializer=wire.GetEventsRequest.FromString,
            response_serializer=wire.Event.SerializeToString,
        ),
    }


def _listen(made: Server, endpoint: Endpoint) -> int:
    try:
        if endpoint.tls is None:
            return made.add_insecure_port(endpoint.address)
        pair = (endpoint.tls.key, endpoint.tls.certificate)
        return made.add_secure_port(endpoint.address, grpc.ssl_server_credentials([pair]))
    except RuntimeError as error:
        raise UsageError(
            f"eventstore.listen: {endpoint.address} cannot be listened on: is the port in use, the address one of "
            "this machine's, and the certificate readable?"
        ) from error
