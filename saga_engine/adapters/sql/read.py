"""Reads streams, stream rows and business keys.

Relies on order where it needs a consistent look: rows and snapshots first, then events, only up to the row's version,
so that what others append in between does no harm. Writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Select,
    Text,
    bindparam,
    func,
    select,
    true,
    union_all,
)

from saga_engine.adapters.sql.rows import EventRow, HeadRow, head_of, record_of, select_events, select_heads
from saga_engine.adapters.sql.writer import Writer
from saga_engine.core.state import Status
from saga_engine.envelope import EventRecord, StreamHead
from saga_engine.ports.store import SHORT, KeyRecord, LoadedStream, Snapshot, StreamFilter
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import Id, events, keys, snapshots, streams
from saga_engine.sql.transaction import run_query

CHUNK: Final = 1_000
"""How many ids go into one statement: the smallest limit on parameters is SQLite's 32,766."""

BUCKET: Final = 200
"""Streams whose wanted events begin within so many versions are read together."""


def _select_due() -> Select[HeadRow]:
    return (
        select_heads()
        .where(streams.c.partition.in_(bindparam("partitions", expanding=True)), streams.c.next_due <= bindparam("now"))
        .order_by(streams.c.next_due, streams.c.stream_id)
        .limit(bindparam("most"))
    )


_DUE: Final = Statement(_select_due())


def _due_with_events() -> Statement[tuple[Any, ...]]:  # a HeadRow and four columns of an event, null without one
    """Rows that are due, each beside the events of its stream where that is short, in one statement.

    Lateral and with a limit, so that no planner reads the table of events for it, whatever it was told of its size.
    """
    due = _select_due().subquery("due")
    of_one = (
        select(events.c.version, events.c.type, events.c.data, events.c.at)
        .where(events.c.stream_id == due.c.stream_id, due.c.version <= SHORT)
        .order_by(events.c.version)
        .limit(SHORT)
        .lateral("of_one")
    )
    return Statement(
        select(*due.c, *of_one.c)
        .join_from(due, of_one, true(), isouter=True)
        .order_by(due.c.next_due, due.c.stream_id, of_one.c.version)
    )


_HEAD: Final = len(select_heads().selected_columns)
_DUE_WITH_EVENTS: Final = _due_with_events()
_UNPUBLISHED: Final = Statement(
    select_heads()
    .where(
        streams.c.partition == bindparam("partition"),
        streams.c.next_due.is_not(None),
        streams.c.published < streams.c.version,
        streams.c.stream_id > bindparam("after", type_=streams.c.stream_id.type),
    )
    .order_by(streams.c.stream_id)
    .limit(bindparam("most"))
)
_COUNTS: Final = select(streams.c.saga, streams.c.status, func.count()).group_by(streams.c.saga, streams.c.status)
_OPEN: Final = tuple(status.value for status in Status if not status.ended)
_LOWEST_ID: Final = UUID(int=0)


def chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class _ById:
    """Statements about the streams whose ids are in the parameter `ids`. `kept`: rows with their snapshots."""

    heads: Statement[HeadRow]
    versions: Statement[tuple[UUID, int]]
    events: Statement[EventRow]
    kept: Statement[tuple[Any, ...]]  # a HeadRow and two columns more, each null without a snapshot


@lru_cache(maxsize=4)
def _by_id(writer: Writer) -> _ById:
    """As this writer would have it: made once, for making them takes longer than executing them."""
    of_streams, of_events = writer.among(streams.c.stream_id), writer.among(events.c.stream_id)
    return _ById(
        heads=Statement(select_heads().where(of_streams)),
        versions=Statement(select(streams.c.stream_id, streams.c.version).where(of_streams)),
        events=Statement(
            select_events()
            .where(of_events, events.c.version > bindparam("after"))
            .order_by(events.c.stream_id, events.c.version)
        ),
        kept=Statement(
            select_heads()
            .add_columns(snapshots.c.version, snapshots.c.data)
            .outerjoin_from(streams, snapshots, snapshots.c.stream_id == streams.c.stream_id)
            .where(of_streams)
        ),
    )


class Reader:
    """The reading half of a store."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer
        self._by_id = _by_id(writer)

    def load(self, wanted: Mapping[UUID, int]) -> Mapping[UUID, LoadedStream]:
        loaded: dict[UUID, LoadedStream] = {}
        for ids in chunks(list(wanted)):
            loaded |= run_query(self._engine, partial(self._load, {stream_id: wanted[stream_id] for stream_id in ids}))
        return loaded

    def _load(self, wanted: Mapping[UUID, int], connection: Connection) -> dict[UUID, LoadedStream]:
        found = self._with_snapshots(connection, [stream_id for stream_id, after in wanted.items() if after == 0])
        found += self._without(connection, [stream_id for stream_id, after in wanted.items() if after != 0])
        tails = self._tails(
            connection,
            [
                (head.stream_id, wanted[head.stream_id] if kept is None else kept.version, head.version)
                for head, kept in found
            ],
        )
        return {head.stream_id: LoadedStream(head, kept, tails.get(head.stream_id, ())) for head, kept in found}

    def _with_snapshots(self, connection: Connection, ids: Sequence[UUID]) -> list[tuple[StreamHead, Snapshot | None]]:
        """The rows of streams and their snapshots, in one look: no snapshot is newer than its row."""
        found: list[tuple[StreamHead, Snapshot | None]] = []
        for row in self._by_id.kept.fetch(connection, {"ids": self._writer.ids(ids)}) if ids else ():
            *columns, version, data = row
            head = StreamHead(*columns)
            found.append((head, None if version is None else Snapshot(head.stream_id, version, data)))
        return found

    def _without(self, connection: Connection, ids: Sequence[UUID]) -> list[tuple[StreamHead, Snapshot | None]]:
        rows = self._by_id.heads.fetch(connection, {"ids": self._writer.ids(ids)}) if ids else ()
        return [(head_of(row), None) for row in rows]

    def _tails(
        self, connection: Connection, ranges: Sequence[tuple[UUID, int, int]]
    ) -> dict[UUID, tuple[EventRecord, ...]]:
        """The events of streams, each after a version up to another one.

        Streams that begin near each other are read together, from the lowest version of theirs; what is read too much
        is dropped. Joined with the ranges instead, a large batch makes PostgreSQL compare each with each.
        """
        tails: dict[UUID, tuple[EventRecord, ...]] = {}
        buckets: defaultdict[int, dict[UUID, tuple[int, int]]] = defaultdict(dict)
        for stream_id, after, upto in ranges:
            if after < upto:
                buckets[after // BUCKET][stream_id] = (after, upto)
        for bucket in buckets.values():
            lowest = min(after for after, _ in bucket.values())
            rows = self._by_id.events.fetch(connection, {"ids": self._writer.ids(bucket), "after": lowest})
            for stream_id, group in groupby(rows, key=lambda row: row[0]):
                after, upto = bucket[stream_id]
                tails[stream_id] = tuple(
                    record_of(version, kind, data, at)
                    for _, version, kind, data, at in group
                    # SQLite keeps a word there as well, behind all numbers. Who decodes it says so.
                    if not isinstance(version, int) or after < version <= upto
                )
        return tails

    def versions(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        found: dict[UUID, int] = {}
        for ids in chunks(stream_ids):
            found |= run_query(self._engine, partial(self._versions, ids))
        return found

    def heads(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StreamHead]:
        found = (self._heads(self._by_id.heads, {"ids": self._writer.ids(ids)}) for ids in chunks(stream_ids))
        return {head.stream_id: head for page in found for head in page}

    def _versions(self, ids: Sequence[UUID], connection: Connection) -> dict[UUID, int]:
        return dict(self._by_id.versions.fetch(connection, {"ids": self._writer.ids(ids)}))

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        return self._heads(_DUE, {"partitions": list(partitions), "now": now, "most": limit})

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        parameters = {"partitions": list(partitions), "now": now, "most": limit}
        if not self._writer.at_once:
            return run_query(self._engine, partial(self._due_and_events, parameters))
        rows = run_query(self._engine, lambda connection: _DUE_WITH_EVENTS.fetch(connection, parameters))
        found: list[StreamHead | LoadedStream] = []
        for columns, group in groupby(rows, key=lambda row: row[:_HEAD]):
            head = StreamHead(*columns)
            tail = tuple(record_of(*row[_HEAD:]) for row in group if row[_HEAD] is not None)
            found.append(LoadedStream(head, None, tail) if head.version <= SHORT else head)
        return found

    def _due_and_events(
        self, parameters: Mapping[str, object], connection: Connection
    ) -> Sequence[StreamHead | LoadedStream]:
        """Where an exchange costs nothing: rows first, then events up to the row's version."""
        heads = [head_of(row) for row in _DUE.fetch(connection, parameters)]
        short = [(head.stream_id, 0, head.version) for head in heads if head.version <= SHORT]
        tails = self._tails(connection, short)
        return [
            LoadedStream(head, None, tails.get(head.stream_id, ())) if head.version <= SHORT else head for head in heads
        ]

    def unpublished(self, partition: int, after: UUID | None, limit: int) -> Sequence[StreamHead]:
        return self._heads(
            _UNPUBLISHED, {"partition": partition, "after": _LOWEST_ID if after is None else after, "most": limit}
        )

    def page(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        statuses = tuple(dict.fromkeys(wanted.statuses))
        statement = _page(len(statuses), wanted.saga is not None, wanted.before is not None, wanted.oldest_first)
        parameters = {f"status{i}": status for i, status in enumerate(statuses)}
        return self._heads(
            statement, {"saga": wanted.saga, "before": wanted.before, "most": wanted.limit, **parameters}
        )

    def find(self, key: str, saga: str | None) -> Sequence[KeyRecord]:
        columns = (keys.c.saga, keys.c.key, keys.c.generation, keys.c.stream_id, keys.c.input_hash)
        statement = select(*columns).where(keys.c.key == key).order_by(keys.c.saga, keys.c.generation.desc())
        if saga is not None:
            statement = statement.where(keys.c.saga == saga)
        rows = run_query(self._engine, lambda connection: connection.execute(statement).all())
        return [KeyRecord(*row) for row in rows]

    def counts(self, *, open_only: bool = False) -> Mapping[tuple[str, str], int]:
        wanted = _COUNTS.where(streams.c.status.in_(_OPEN)) if open_only else _COUNTS
        rows = run_query(self._engine, lambda connection: connection.execute(wanted).all())
        return {(saga, status): count for saga, status, count in rows}

    def open_sagas(self, saga: str, most: int) -> int:
        few = (
            select(streams.c.stream_id)
            .where(streams.c.status.in_(_OPEN), streams.c.saga == saga)
            .limit(most)
            .subquery()
        )
        counted = select(func.count()).select_from(few)
        return run_query(self._engine, lambda connection: connection.execute(counted).scalar_one())

    def _heads(self, statement: Statement[HeadRow], parameters: Mapping[str, object]) -> Sequence[StreamHead]:
        rows = run_query(self._engine, lambda connection: statement.fetch(connection, parameters))
        return [head_of(row) for row in rows]


def _order(oldest_first: bool, stream_id: ColumnElement[UUID]) -> ColumnElement[UUID]:
    """Ids are ordered by time."""
    return stream_id.asc() if oldest_first else stream_id.desc()


@cache
def _page(statuses: int, of_saga: bool, below: bool, oldest_first: bool) -> Statement[HeadRow]:
    """The statement of a page, built once for each kind of filter: of so many statuses, one saga name, below an id."""
    if statuses < 2:
        return Statement(_ends(0 if statuses else None, of_saga, below, oldest_first))
    # One status at a time: there is an index with the sagas of each in their order, and none with those of several.
    pages = [_ends(number, of_saga, below, oldest_first) for number in range(statuses)]
    together = union_all(*(page.subquery().select() for page in pages)).subquery()
    merged = select(*(together.c[column.name] for column in select_heads().selected_columns))
    return Statement(
        merged.order_by(_order(oldest_first, together.c.stream_id)).limit(bindparam("most", type_=Integer))
    )


def _ends(status: int | None, of_saga: bool, below: bool, oldest_first: bool) -> Select[HeadRow]:
    statement = (
        select_heads().order_by(_order(oldest_first, streams.c.stream_id)).limit(bindparam("most", type_=Integer))
    )
    if of_saga:
        statement = statement.where(streams.c.saga == bindparam("saga", type_=Text))
    if status is not None:
        statement = statement.where(streams.c.status == bindparam(f"status{status}", type_=Text))
    if below:
        statement = statement.where(streams.c.stream_id < bindparam("before", type_=Id))
    return statement
