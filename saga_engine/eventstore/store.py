"""Domain events in a SQL database: appended in batches, read in order, and marked as published.

Safety is the primary key (aggregate, version) and the unique event id. Calls block, and are whole transactions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from saga_engine.errors import StoreUnavailableError
from saga_engine.eventstore.event import (
    Aggregate,
    AppendOutcome,
    Entry,
    IdTaken,
    NewEvent,
    Stored,
    StoredEvent,
    WrongVersion,
)
from saga_engine.eventstore.tables import domain_events, domain_streams
from saga_engine.sql.engine import describe
from saga_engine.sql.pacing import pacing_of
from saga_engine.sql.transaction import longest_pause, run_query, run_transaction

EventRow: TypeAlias = tuple[str, str, int, str, str, str, str, int]

_CHUNK: Final = 500
_TRIES: Final = 20
"""How often a batch is begun again because another server made one of its aggregates or ids meanwhile."""

_EVENTS: Final[Select[EventRow]] = select(
    domain_events.c.aggregate_id,
    domain_events.c.aggregate_type,
    domain_events.c.version,
    domain_events.c.event_id,
    domain_events.c.event_type,
    domain_events.c.event_data,
    domain_events.c.stream,
    domain_events.c.at,
)
_SAME_AGGREGATE: Final = and_(
    domain_streams.c.aggregate_id == domain_events.c.aggregate_id,
    domain_streams.c.aggregate_type == domain_events.c.aggregate_type,
)


class SqlDomainEvents:
    """Domain events on CockroachDB, PostgreSQL or SQLite. `now`: microseconds since 1970, for new events.

    All calls raise `StoreUnavailableError` when the database does not serve.
    """

    def __init__(self, engine: Engine, now: Callable[[], int]) -> None:
        self._engine = engine
        self._now = now
        # READ COMMITTED is enough: no statement's effect rests on what another transaction may change unnoticed.
        self._isolation = None if engine.dialect.name == "sqlite" else "READ COMMITTED"

    def append(self, entries: Sequence[Entry]) -> Sequence[AppendOutcome]:
        """Append many in one commit; an outcome for each, in order. Those that are refused do not keep the others."""
        for tried in range(1, _TRIES + 1):
            try:
                # Doing it twice does no harm: the second time finds the ids of the first.
                return run_transaction(
                    self._engine,
                    lambda connection: _Append(connection, self._now()).run(entries),
                    isolation=self._isolation,
                    repeatable=True,
                )
            except IntegrityError:
                # Another server was quicker with a first event or an id: what it wrote is read, and decided on, anew.
                pacing_of(self._engine).pause(longest_pause(tried))
        raise StoreUnavailableError(
            f"{describe(self._engine.url)}: {_TRIES} tries to append were overtaken by others; try again"
        )

    def versions(self, aggregate_ids: Collection[str]) -> Mapping[Aggregate, int]:
        """The version of every aggregate that has one of these ids, of any type."""
        return run_query(self._engine, lambda connection: _versions(connection, aggregate_ids))

    def read(self, aggregate: Aggregate, after: int, limit: int) -> Sequence[StoredEvent]:
        """At most `limit` events of an aggregate, in order, from after that version."""
        wanted = (
            _EVENTS.where(
                domain_events.c.aggregate_id == aggregate.id,
                domain_events.c.aggregate_type == aggregate.type,
                domain_events.c.version > after,
            )
            .order_by(domain_events.c.version)
            .limit(limit)
        )
        return self._query(wanted)

    def find(self, event_id: str) -> StoredEvent | None:
        """The event of that id."""
        found = self._query(_EVENTS.where(domain_events.c.event_id == event_id))
        return found[0] if found else None

    def unpublished(self, after: Aggregate | None, limit: int) -> Sequence[StoredEvent]:
        """At most `limit` events that are not known to be published, by aggregate (from after that one) and version."""
        wanted = _EVENTS.join_from(domain_streams, domain_events, _SAME_AGGREGATE).where(
            domain_streams.c.published < domain_streams.c.version, domain_events.c.version > domain_streams.c.published
        )
        if after is not None:
            later = and_(domain_streams.c.aggregate_id == after.id, domain_streams.c.aggregate_type > after.type)
            wanted = wanted.where(or_(domain_streams.c.aggregate_id > after.id, later))
        return self._query(
            wanted.order_by(
                domain_streams.c.aggregate_id, domain_streams.c.aggregate_type, domain_events.c.version
            ).limit(limit)
        )

    def mark_published(self, upto: Mapping[Aggregate, int]) -> None:
        """Say that all events of these aggregates up to a version are published. Never moves back."""

        def mark(connection: Connection) -> None:
            for aggregate, version in sorted(upto.items()):
                connection.execute(
                    update(domain_streams)
                    .where(_is(aggregate), domain_streams.c.published < version)
                    .values(published=version)
                )

        run_transaction(self._engine, mark, isolation=self._isolation, repeatable=True)

    def _query(self, wanted: Select[EventRow]) -> Sequence[StoredEvent]:
        return run_query(self._engine, lambda connection: [_stored(row) for row in connection.execute(wanted)])


class _Append:
    """One try at a batch: decided on what is read and held here, then written.

    Two who make the same aggregate, or use the same id in two of them, meet at a unique key.
    """

    def __init__(self, connection: Connection, at: int) -> None:
        self._connection = connection
        self._at = at
        self._written: list[StoredEvent] = []

    def run(self, entries: Sequence[Entry]) -> Sequence[AppendOutcome]:
        # First: who waited here for another server reads what that one wrote, and is not overtaken again and again.
        before = _versions(self._connection, {entry.event.aggregate.id for entry in entries}, held=True)
        known = self._known({entry.event.event_id for entry in entries})
        versions = Counter(before)
        outcomes: list[AppendOutcome] = []
        for entry in entries:
            outcome = _decide(entry, known.get(entry.event.event_id), versions[entry.event.aggregate], self._at)
            outcomes.append(outcome)
            if isinstance(outcome, Stored) and not outcome.repeated:
                stored = StoredEvent(entry.event, outcome.version, self._at)
                self._written.append(stored)
                known[entry.event.event_id] = stored
                versions[entry.event.aggregate] = outcome.version
        if self._written:
            self._write(before, versions)
        return outcomes

    def _known(self, ids: Collection[str]) -> dict[str, StoredEvent]:
        rows = self._connection.execute(_EVENTS.where(domain_events.c.event_id.in_(sorted(ids))))
        return {stored.event.event_id: stored for stored in map(_stored, rows)}

    def _write(self, before: Mapping[Aggregate, int], versions: Mapping[Aggregate, int]) -> None:
        """Sorted, so that two servers take locks in the same order."""
        changed = sorted({stored.event.aggregate for stored in self._written})
        new = [aggregate for aggregate in changed if aggregate not in before]
        if new:
            rows = [
                {"aggregate_id": one.id, "aggregate_type": one.type, "version": versions[one], "published": 0}
                for one in new
            ]
            self._connection.execute(insert(domain_streams), rows)
        for aggregate in changed:
            if aggregate in before:
                self._connection.execute(
                    update(domain_streams).where(_is(aggregate)).values(version=versions[aggregate])
                )
        ordered = sorted(self._written, key=lambda stored: (stored.event.aggregate, stored.version))
        self._connection.execute(insert(domain_events), [_row(stored) for stored in ordered])


def _decide(entry: Entry, known: StoredEvent | None, version: int, at: int) -> AppendOutcome:
    if known is not None:
        return Stored(known.version, known.at, True) if known.event == entry.event else IdTaken(known)
    if entry.expected_version is not None and entry.expected_version != version:
        return WrongVersion(version)
    return Stored(version + 1, at, False)


def _versions(connection: Connection, aggregate_ids: Collection[str], *, held: bool = False) -> dict[Aggregate, int]:
    """The versions of aggregates. `held`: nobody else changes them until the transaction ends."""
    ids, found = sorted(aggregate_ids), dict[Aggregate, int]()
    columns = select(domain_streams.c.aggregate_id, domain_streams.c.aggregate_type, domain_streams.c.version)
    if held:
        columns = columns.order_by(domain_streams.c.aggregate_id, domain_streams.c.aggregate_type).with_for_update()
    for start in range(0, len(ids), _CHUNK):
        rows = connection.execute(columns.where(domain_streams.c.aggregate_id.in_(ids[start : start + _CHUNK])))
        found |= {Aggregate(aggregate_id, kind): version for aggregate_id, kind, version in rows}
    return found


def _is(aggregate: Aggregate) -> ColumnElement[bool]:
    return and_(domain_streams.c.aggregate_id == aggregate.id, domain_streams.c.aggregate_type == aggregate.type)


def _row(stored: StoredEvent) -> dict[str, str | int]:
    event = stored.event
    return {
        "aggregate_id": event.aggregate.id,
        "aggregate_type": event.aggregate.type,
        "version": stored.version,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "event_data": event.data,
        "stream": event.stream,
        "at": stored.at,
    }


def _stored(row: Row[EventRow]) -> StoredEvent:
    aggregate_id, aggregate_type, version, event_id, event_type, data, stream, at = row._tuple()
    event = NewEvent(event_id, event_type, Aggregate(aggregate_id, aggregate_type), data, stream)
    return StoredEvent(event, version, at)
