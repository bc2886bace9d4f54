"""Domain events as values: what a client appends, what is stored, and how an append can end.

Owns what an event may look like. Knows no storage and no gRPC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import orjson

SAGA: Final = "saga"
"""The aggregate type of saga streams, which are the engine's: they are read here, and never written."""

MOST_DATA_BYTES: Final = 256 * 1024
"""Of `event_data`. With its headers it must pass a broker whose limit is 1 MiB, and pages of events must stay small."""

MOST_NAME_BYTES: Final = 255

_ID: Final = re.compile(r"[!-.0-~]+")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_OWN_SUBJECTS: Final = "saga"
_LARGEST_VERSION: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Aggregate:
    """What a stream of domain events is about; its versions count from 1."""

    id: str
    type: str


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a client gives it. `data`: JSON text or empty."""

    event_id: str
    event_type: str
    aggregate: Aggregate
    data: str
    stream: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it is kept. `at`: microseconds since 1970."""

    event: NewEvent
    version: int
    at: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One append. `expected_version` None: wherever the aggregate is."""

    event: NewEvent
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """The event is stored, now or by an earlier append of the same."""

    version: int
    at: int
    repeated: bool


@dataclass(frozen=True, slots=True)
class IdTaken:
    """That event id belongs to an event of another content. Nothing was written."""

    holder: StoredEvent


@dataclass(frozen=True, slots=True)
class WrongVersion:
    """The aggregate is at another version than was expected. Nothing was written."""

    version: int


AppendOutcome: TypeAlias = Stored | IdTaken | WrongVersion


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong with an event, and what was expected. `too_large`: it is beyond a limit, else malformed."""

    reason: str
    too_large: bool = False


def misfit(event: NewEvent) -> Misfit | None:
    """The first thing that keeps an event from being appended."""
    return next(_misfits(event), None)


def _misfits(event: NewEvent) -> Iterator[Misfit]:
    yield from _bad_name("event_id", event.event_id, "an id that the client makes, as a UUID, and repeats on a retry")
    if _ID.fullmatch(event.event_id) is None:
        yield Misfit(
            f"event_id {shown(event.event_id)} is no message id; expected printable ASCII without spaces, and without "
            "the '/' that only the ids of saga events have"
        )
    yield from _bad_name("aggregate_id", event.aggregate.id, "the id of what the event is about")
    yield from _bad_name("aggregate_type", event.aggregate.type, "the kind of what the event is about, as order")
    yield from _bad_name("event_type", event.event_type, "a subject, as ORDERS.created")
    if _SUBJECT.fullmatch(event.event_type) is None:
        yield Misfit(
            f"event_type {shown(event.event_type)} is no subject to publish on; expected words of letters, digits, "
            "'_' and '-', separated by dots, as ORDERS.created"
        )
    if event.event_type.split(".")[0] == _OWN_SUBJECTS:
        yield Misfit(f"event_type {shown(event.event_type)}: subjects that begin with 'saga' are the engine's own")
    if event.stream:
        yield from _bad_name("stream", event.stream, "nothing, or a name")
    yield from _bad_data(event.data)


def _bad_name(field: str, value: str, expected: str) -> Iterator[Misfit]:
    if not value:
        yield Misfit(f"{field} is empty; expected {expected}")
    if len(value.encode()) > MOST_NAME_BYTES:
        yield Misfit(f"{field} has {len(value.encode())} bytes; expected at most {MOST_NAME_BYTES}")
    if not value.isprintable():
        yield Misfit(f"{field} {shown(value)} has characters that cannot be printed; expected {expected}")


def _bad_data(data: str) -> Iterator[Misfit]:
    encoded = data.encode()
    if len(encoded) > MOST_DATA_BYTES:
        yield Misfit(f"event_data has {len(encoded)} bytes; at most {MOST_DATA_BYTES} are taken", too_large=True)
        return
    if not data:
        return
    try:
        orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        yield Misfit(f"event_data is not JSON: {error}; expected JSON text, or nothing")


def bad_version(version: int) -> bool:
    """Whether a number is no version of a stream, nor 0 for the beginning."""
    return not 0 <= version <= _LARGEST_VERSION


def shown(value: str) -> str:
    """A client's text, fit for a message."""
    return repr(value if len(value) <= 80 else f"{value[:80]}…")
