"""The three calls of `eventstore.EventStore`, each outcome as a gRPC status with what was wrong and what to do.

Owns the mapping between messages and domain events. Knows no port, no SQL and no token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NoReturn, TypeAlias, assert_never

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from saga_engine.errors import UnavailableError
from saga_engine.eventstore import eventstore_pb2 as wire
from saga_engine.eventstore.appender import Appender, OverloadedError
from saga_engine.eventstore.event import (
    SAGA,
    Aggregate,
    Entry,
    IdTaken,
    NewEvent,
    Stored,
    StoredEvent,
    WrongVersion,
    bad_version,
    misfit,
    shown,
)
from saga_engine.eventstore.feed import Feed, Follower, TooManyFollowersError
from saga_engine.eventstore.library import Library
from saga_engine.ports.store import RunSync
from saga_engine.subjects import covers

MOST_EVENTS: Final = 10_000
MOST_BYTES: Final = 3 * 1024 * 1024
"""Of event data in one answer: gRPC's clients take 4 MiB by default."""

_PAGE: Final = 100
_SPARE: Final = 1_536
"""Bytes of an event beside its data, at most: five names, version and time."""

Context: TypeAlias = "ServicerContext[object, object]"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for, once it has been checked."""

    aggregate_id: str
    aggregate_type: str
    after: int


class EventStoreService:
    """The calls, over a library to read, an appender to write and a feed to follow.

    `event_types`: those it takes, as patterns; none: all.
    """

    def __init__(
        self, library: Library, appender: Appender, feed: Feed, run_sync: RunSync, event_types: Sequence[str] = ()
    ) -> None:
        self._library = library
        self._event_types = event_types
        self._appender = appender
        self._feed = feed
        self._run_sync = run_sync

    async def create_event(self, request: wire.CreateEventRequest, context: Context) -> wire.CreateEventResponse:
        """Append one event."""
        expected = request.expected_version if request.HasField("expected_version") else None
        await self._check_event(request.event, expected, context)
        entry = Entry(_new_event(request.event), expected)
        try:
            outcome = await self._appender.append(entry)
        except OverloadedError:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too many events wait; send it again later")
        except UnavailableError as error:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, f"{error}; send the same event again")
        if not isinstance(outcome, Stored):
            await _abort(context, *_refusal(entry, outcome))
        return wire.CreateEventResponse(is_success=True, version=outcome.version, time=_time(outcome.at))

    async def get_events(self, request: wire.GetEventsRequest, context: Context) -> wire.GetEventsResponse:
        """The events there are."""
        try:
            if request.event_id:
                return wire.GetEventsResponse(events=[await self._one(request, context)])
            return await self._several(await _wanted(request, context), request.limit, context)
        except UnavailableError as error:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, f"{error}; ask again later")

    async def get_events_stream(self, request: wire.GetEventsRequest, context: Context) -> AsyncIterator[wire.Event]:
        """The events there are, then each new one. Ends when the client cancels, or UNAVAILABLE at a shutdown."""
        if request.limit:
            await _invalid(context, "limit is not for GetEventsStream; expected 0, and cancel when you have enough")
        try:
            if request.event_id:
                yield await self._one(request, context)
                return
            wanted = await _wanted(request, context)
            with self._feed.follow(wanted.aggregate_id, wanted.aggregate_type) as follower:
                while not self._feed.closed:
                    follower.seen()
                    async for stored in self._new(wanted, follower):
                        yield _event(stored)
                    await follower.news()
        except TooManyFollowersError:
            await _abort(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "as many streams are open as this server takes; end one, or ask another server",
            )
        except UnavailableError as error:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, f"{error}; {_GO_ON}")
        await _abort(context, grpc.StatusCode.UNAVAILABLE, f"the server shuts down; {_GO_ON}")

    async def _new(self, wanted: Wanted, follower: Follower) -> AsyncIterator[StoredEvent]:
        """What this follower has not been told yet, page by page as fast as it takes them."""
        for aggregate in await self._aggregates(wanted):
            reached = follower.reached.setdefault(aggregate.type, wanted.after)
            while page := await self._run_sync(partial(self._library.read, aggregate, reached, _PAGE)):
                for stored in page:
                    yield stored
                reached = follower.reached[aggregate.type] = page[-1].version

    async def _several(self, wanted: Wanted, limit: int, context: Context) -> wire.GetEventsResponse:
        aggregates = await self._aggregates(wanted)
        if not aggregates:
            kind = wanted.aggregate_type or "aggregate"
            await _abort(
                context, grpc.StatusCode.NOT_FOUND, f"there is no event of {kind} {shown(wanted.aggregate_id)}"
            )
        answer = wire.GetEventsResponse()
        size = 0
        for aggregate in aggregates:
            reached = wanted.after
            while page := await self._run_sync(partial(self._library.read, aggregate, reached, _PAGE)):
                for stored in page:
                    size += len(stored.event.data.encode()) + _SPARE
                    if limit and (len(answer.events) == limit or (size > MOST_BYTES and answer.events)):
                        return answer
                    if len(answer.events) == MOST_EVENTS or size > MOST_BYTES:
                        await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, _TOO_MUCH)
                    answer.events.append(_event(stored))
                reached = page[-1].version
        return answer

    async def _aggregates(self, wanted: Wanted) -> Sequence[Aggregate]:
        """The aggregates there are, by type."""
        found = await self._run_sync(partial(self._library.versions, [wanted.aggregate_id]))
        return sorted(one for one in found if wanted.aggregate_type in ("", one.type))

    async def _one(self, request: wire.GetEventsRequest, context: Context) -> wire.Event:
        if request.after_version or request.limit:
            await _invalid(context, "event_id asks for one event; expected neither after_version nor limit with it")
        await _check_texts(request, context)
        found = await self._run_sync(partial(self._library.find, request.event_id))
        if (
            found is None
            or request.aggregate_id not in ("", found.event.aggregate.id)
            or request.aggregate_type not in ("", found.event.aggregate.type)
        ):
            of = f" of aggregate {shown(request.aggregate_id)}" if request.aggregate_id else ""
            what = f"there is no event {shown(request.event_id)}{of}"
            await _abort(context, grpc.StatusCode.NOT_FOUND, what)
        return _event(found)

    async def _check_event(self, event: wire.Event, expected: int | None, context: Context) -> None:
        if event.aggregate_type == SAGA:
            await _abort(
                context,
                grpc.StatusCode.PERMISSION_DENIED,
                f"aggregate_type {SAGA!r} is that of saga streams, which are read-only here; use another type, or the "
                "engine's own ways to start and signal sagas",
            )
        if event.version or event.HasField("time"):
            await _invalid(
                context, "version and time are given by the event store; leave them out (see expected_version)"
            )
        if expected is not None and bad_version(expected):
            await _invalid(context, f"expected_version is {expected}; expected 0 (no event yet) or a version")
        wrong = misfit(_new_event(event))
        if wrong is not None:
            status = grpc.StatusCode.RESOURCE_EXHAUSTED if wrong.too_large else grpc.StatusCode.INVALID_ARGUMENT
            await _abort(context, status, wrong.reason)
        if self._event_types and not any(covers(one, event.event_type) for one in self._event_types):
            await _abort(
                context,
                grpc.StatusCode.PERMISSION_DENIED,
                f"event_type {shown(event.event_type)} is not taken here; expected {', '.join(self._event_types)} "
                "(eventstore.event_types)",
            )


_GO_ON: Final = "go on from the last version you have, with after_version"
_TOO_MUCH: Final = (
    f"the answer would pass {MOST_EVENTS} events or {MOST_BYTES} bytes; give aggregate_type, limit and after_version "
    "to read page by page, or use GetEventsStream"
)


async def _wanted(request: wire.GetEventsRequest, context: Context) -> Wanted:
    """The request for an aggregate's events, checked."""
    if not request.aggregate_id:
        await _invalid(context, "event_id and aggregate_id are both empty; expected one of them")
    await _check_texts(request, context)
    if bad_version(request.after_version):
        await _invalid(context, f"after_version is {request.after_version}; expected 0 or a version you have read")
    if request.limit < 0:
        await _invalid(context, f"limit is {request.limit}; expected 0 (all) or the most events to return")
    if (request.after_version or request.limit) and not request.aggregate_type:
        await _invalid(
            context, "after_version and limit need aggregate_type: each type of an aggregate_id has its own versions"
        )
    return Wanted(request.aggregate_id, request.aggregate_type, request.after_version)


async def _check_texts(request: wire.GetEventsRequest, context: Context) -> None:
    """A NUL would be the database's complaint, and no id has one."""
    for name in ("event_id", "aggregate_id", "aggregate_type"):
        if not str(getattr(request, name)).isprintable():
            await _invalid(context, f"{name} has characters that cannot be printed; no event has such")


async def _invalid(context: Context, what: str) -> NoReturn:
    await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, what)


async def _abort(context: Context, status: grpc.StatusCode, what: str) -> NoReturn:
    await context.abort(status, what)
    raise AssertionError("abort always raises")


def _refusal(entry: Entry, outcome: IdTaken | WrongVersion) -> tuple[grpc.StatusCode, str]:
    """The status of an append that was not made, and what to do."""
    aggregate = entry.event.aggregate
    match outcome:
        case IdTaken(holder):
            kept = holder.event.aggregate
            return grpc.StatusCode.ALREADY_EXISTS, (
                f"event_id {shown(entry.event.event_id)} belongs to another event, version {holder.version} of "
                f"{kept.type} {shown(kept.id)}; give each event an id of its own"
            )
        case WrongVersion(version):
            return grpc.StatusCode.ABORTED, (
                f"{aggregate.type} {shown(aggregate.id)} is at version {version}, expected {entry.expected_version}; "
                "read what is new, decide again, and send it with the version you found"
            )
    assert_never(outcome)


def _new_event(event: wire.Event) -> NewEvent:
    aggregate = Aggregate(event.aggregate_id, event.aggregate_type)
    return NewEvent(event.event_id, event.event_type, aggregate, event.event_data, event.stream)


def _event(stored: StoredEvent) -> wire.Event:
    event = stored.event
    return wire.Event(
        event_id=event.event_id,
        event_type=event.event_type,
        aggregate_id=event.aggregate.id,
        aggregate_type=event.aggregate.type,
        event_data=event.data,
        stream=event.stream,
        version=stored.version,
        time=_time(stored.at),
    )


def _time(at: int) -> Timestamp:
    return Timestamp(seconds=at // 1_000_000, nanos=at % 1_000_000 * 1_000)
