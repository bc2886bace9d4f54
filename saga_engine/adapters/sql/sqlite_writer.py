"""Many rows on SQLite: read what is there under the write lock, then write the winners with executemany.

Must run in a transaction that was begun IMMEDIATE (`sql.engine` sees to it): nobody else writes between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    LargeBinary,
    Update,
    bindparam,
    case,
    func,
    insert,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.dialects import sqlite

from saga_engine.envelope import partition_of
from saga_engine.ports.store import Append, NewStream, Settlement
from saga_engine.sql import direct
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import events, keys, streams

# Compared as bytes: a UUID object for each row costs as much as the row.
_STREAM_ID: Final = type_coerce(streams.c.stream_id, LargeBinary)
_VERSIONS: Final = Statement(
    select(_STREAM_ID, streams.c.version).where(_STREAM_ID.in_(bindparam("ids", expanding=True)))
)
_TAKEN: Final = Statement(
    select(keys.c.key, keys.c.saga, keys.c.generation).where(
        tuple_(keys.c.key, keys.c.saga, keys.c.generation).in_(bindparam("wanted", expanding=True))
    )
)


def _text(statement: Insert | Update) -> str:
    """A statement for executemany, its parameters in order: SQLAlchemy would spend more on a row than SQLite does."""
    return str(statement.compile(dialect=sqlite.dialect()))


_INSERT_KEY: Final = _text(insert(keys))
_INSERT_STREAM: Final = _text(insert(streams))
_INSERT_EVENT: Final = _text(insert(events))
_ADVANCE: Final = _text(
    update(streams)
    .where(streams.c.stream_id == bindparam("id"))
    .ordered_values(
        (streams.c.version, bindparam("new_version")),
        (streams.c.published, func.max(streams.c.published, bindparam("new_published"))),
        (streams.c.status, bindparam("new_status")),
        (
            streams.c.next_due,
            case(
                (bindparam("moves", type_=Boolean()), bindparam("due_0")),
                # The earlier of the two; a missing one does not count (SQLite's two-argument min makes null of a null).
                else_=func.coalesce(
                    func.min(streams.c.next_due, bindparam("due_1")), streams.c.next_due, bindparam("due_2")
                ),
            ),
        ),
        (streams.c.ended_at, func.coalesce(bindparam("new_ended_at"), streams.c.ended_at)),
    )
)
_SETTLE: Final = _text(
    update(streams)
    .where(streams.c.stream_id == bindparam("id"), streams.c.version == bindparam("at_version"))
    .ordered_values(
        (streams.c.published, func.max(streams.c.published, bindparam("new_published"))),
        (streams.c.next_due, bindparam("due")),
    )
)


class SqliteWriter:
    """`writer.Writer` for SQLite."""

    def among(self, column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return column.in_(bindparam("ids", expanding=True))

    def ids(self, stream_ids: Iterable[UUID]) -> list[UUID]:
        return [*stream_ids]

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        wanted: dict[tuple[str, str, int], tuple[Append, NewStream]] = {}
        for start in starts:
            if start.new is not None:
                # Two starts of one key in one batch: the first wins.
                wanted.setdefault((start.new.key, start.new.saga, start.new.generation), (start, start.new))
        taken = set(_TAKEN.fetch(connection, {"wanted": list(wanted)}))
        winners = [entry for key, entry in wanted.items() if key not in taken]
        if winners:
            direct.execute_many(connection, _INSERT_KEY, [_key_row(start, new) for start, new in winners])
            direct.execute_many(connection, _INSERT_STREAM, [_stream_row(start, new) for start, new in winners])
            direct.execute_many(connection, _INSERT_EVENT, _event_rows((start for start, _ in winners), batch_id))
        return {start.stream_id for start, _ in winners}

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        ids = [append.stream_id.bytes for append in advances]
        stored = dict(_VERSIONS.fetch(connection, {"ids": ids}))
        winners = [append for append in advances if stored.get(append.stream_id.bytes) == append.expected_version]
        if winners:
            direct.execute_many(connection, _ADVANCE, [_advance_row(append) for append in winners])
            direct.execute_many(connection, _INSERT_EVENT, _event_rows(winners, batch_id))
        return {append.stream_id for append in winners}

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        rows: list[_Row] = [(each.published, each.next_due, each.stream_id.bytes, each.version) for each in settlements]
        direct.execute_many(connection, _SETTLE, rows)


SQLITE_WRITER: Final = SqliteWriter()
"""The one for all stores: it keeps nothing."""

_Row: TypeAlias = tuple[bytes | str | int | None, ...]


def _key_row(start: Append, new: NewStream) -> _Row:
    return (new.key, new.saga, new.generation, start.stream_id.bytes, new.input_hash)


def _stream_row(start: Append, new: NewStream) -> _Row:
    return (
        start.stream_id.bytes,
        new.saga,
        new.key,
        new.generation,
        new.definition_version,
        new.definition_hash,
        partition_of(start.stream_id),
        len(start.events),
        start.published,
        start.status,
        start.due,
        start.events[0].at,
        start.ended_at,
    )


def _advance_row(append: Append) -> _Row:
    return (
        append.expected_version + len(append.events),
        append.published,
        append.status,
        append.moves_due,
        append.due,
        append.due,
        append.due,
        append.ended_at,
        append.stream_id.bytes,
    )


def _event_rows(appends: Iterable[Append], batch_id: UUID) -> list[_Row]:
    batch = batch_id.bytes
    return [
        (append.stream_id.bytes, event.version, event.type, event.data.decode(), event.at, batch)
        for append in appends
        for event in append.events
    ]
