"""Appends, events and definitions to try a store with. Knows the port's shapes, and nothing of what events mean."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from itertools import count
from typing import Final
from uuid import UUID

from saga_engine.envelope import PARTITIONS, EventRecord, partition_of
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.ports.store import (
    Append,
    Appended,
    AppendOutcome,
    DefinitionRecord,
    EventStore,
    LoadedStream,
    NewStream,
)

HOUR_US: Final = 3_600_000_000
DUE: Final = 1_000_000
"""When sagas made by `start` are due."""


class Samples:
    """Makes ids that go up, and appends with them."""

    def __init__(self) -> None:
        self._ids = TimeOrderedIds(secrets.token_bytes)
        self._keys = count(1)

    def id(self) -> UUID:
        return self._ids.new(time.time_ns() // 1_000)

    def key(self) -> str:
        return f"order-{next(self._keys)}"

    def id_in(self, partition: int) -> UUID:
        """An id whose saga falls into that partition."""
        return next(each for each in iter(self.id, None) if partition_of(each) == partition % PARTITIONS)

    def start(
        self,
        *,
        saga: str = "place_order",
        key: str | None = None,
        generation: int = 1,
        events: int = 1,
        due: int | None = DUE,
        status: str = "running",
        stream_id: UUID | None = None,
        input_hash: str = "input",
    ) -> Append:
        """The first append of a new saga."""
        new = NewStream(saga, key or self.key(), generation, input_hash, 1, "hash-1")
        stream_id = stream_id or self.id()
        return Append(stream_id, 0, records(0, events), status, published=0, due=due, ended_at=None, new=new)


def records(after: int, number: int, text: str = "") -> tuple[EventRecord, ...]:
    """That many events with the versions after `after`."""
    return tuple(
        EventRecord(version, "StepSucceeded", f'{{"step":"s{version}","text":"{text}"}}'.encode(), 1_000 + version)
        for version in range(after + 1, after + 1 + number)
    )


def advance(
    stream_id: UUID,
    after: int,
    *,
    events: int = 1,
    published: int = 0,
    due: int | None = None,
    status: str = "running",
    ended_at: int | None = None,
    text: str = "",
) -> Append:
    """A later append of a saga that is at version `after`."""
    return Append(stream_id, after, records(after, events, text), status, published, due, ended_at, None)


def started(store: EventStore, *starts: Append) -> Sequence[UUID]:
    """Append these starts and check that all won; their ids."""
    outcomes = store.append(starts)
    assert outcomes == [Appended(len(start.events)) for start in starts]
    return [start.stream_id for start in starts]


def loaded(store: EventStore, stream_id: UUID) -> LoadedStream:
    return store.load({stream_id: 0})[stream_id]


def versions_of(stream: LoadedStream) -> list[int]:
    return [event.version for event in stream.events]


def won(outcomes: Sequence[AppendOutcome]) -> int:
    """How many of these were written."""
    return sum(isinstance(outcome, Appended) for outcome in outcomes)


def definition(version: int | None, text: str = "", saga: str = "place_order") -> DefinitionRecord:
    content = f'{{"saga":"{saga}","version":{version or 0},"text":"{text}"}}'
    return DefinitionRecord(f"sha-of-{content}", saga, version, content.encode())
