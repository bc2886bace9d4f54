"""Everything that can be read: domain events, and the streams of sagas as aggregates of the type `saga`.

Owns how the two are told apart. Writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from saga_engine.eventstore.event import SAGA, Aggregate, NewEvent, StoredEvent
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.ports.store import WHOLE, EventStore, LoadedStream

_MOST_DIGITS: Final = 18


class Library:
    """Reads over both. Calls block."""

    def __init__(self, domain: SqlDomainEvents, sagas: EventStore) -> None:
        self._domain = domain
        self._sagas = sagas

    def versions(self, aggregate_ids: Collection[str]) -> Mapping[Aggregate, int]:
        """The version of every aggregate, of any type, that has one of these ids."""
        found = dict(self._domain.versions(aggregate_ids))
        saga_ids = [saga_id for text in aggregate_ids if (saga_id := _saga_id(text)) is not None]
        if saga_ids:
            found |= {
                Aggregate(str(saga_id), SAGA): version for saga_id, version in self._sagas.versions(saga_ids).items()
            }
        return found

    def read(self, aggregate: Aggregate, after: int, limit: int) -> Sequence[StoredEvent]:
        """At most `limit` events of an aggregate, in order, from after that version."""
        if aggregate.type != SAGA:
            return self._domain.read(aggregate, after, limit)
        saga_id = _saga_id(aggregate.id)
        loaded = None if saga_id is None else self._load(saga_id, after)
        return [] if loaded is None else _of_saga(loaded)[:limit]

    def find(self, event_id: str) -> StoredEvent | None:
        """The event of that id; a saga event's is `saga id/version`."""
        text, slash, number = event_id.partition("/")
        if not slash:
            return self._domain.find(event_id)
        if not (number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS):
            return None
        found = self.read(Aggregate(text, SAGA), int(number) - 1, 1) if int(number) else ()
        return next((one for one in found if one.event.event_id == event_id), None)

    def _load(self, saga_id: UUID, after: int) -> LoadedStream | None:
        # 0 would leave out what a snapshot stands for.
        return self._sagas.load({saga_id: after or WHOLE}).get(saga_id)


def _saga_id(text: str) -> UUID | None:
    """The saga that an aggregate id names, written as we write it; None for what cannot be one."""
    try:
        saga_id = UUID(text)
    except ValueError:
        return None
    return saga_id if str(saga_id) == text else None


def _of_saga(loaded: LoadedStream) -> list[StoredEvent]:
    saga = str(loaded.head.stream_id)
    return [
        StoredEvent(
            NewEvent(
                event_id=f"{saga}/{record.version}",
                event_type=record.type,
                aggregate=Aggregate(saga, SAGA),
                data=record.data.decode(),
                stream=loaded.head.saga,
            ),
            record.version,
            record.at,
        )
        for record in loaded.events
    ]
