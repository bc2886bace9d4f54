"""Many rows on SQLite: take the keys and versions, see which of them were to be had, write the events of the winners.

Must run in a transaction that was begun IMMEDIATE (`sql.engine` sees to it): nobody else writes in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final, TypeAlias
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Update,
    bindparam,
    case,
    func,
    insert,
    update,
)
from sqlalchemy.dialects import sqlite

from saga_engine.envelope import partition_of
from saga_engine.ports.store import Append, NewStream, Settlement
from saga_engine.sql import direct
from saga_engine.sql.schema import events, keys, streams


def _text(statement: Insert | Update) -> str:
    """A statement for executemany, its parameters in order: SQLAlchemy would spend more on a row than SQLite does."""
    return str(statement.compile(dialect=sqlite.dialect()))


_INSERT_KEY: Final = _text(
    sqlite.insert(keys).on_conflict_do_nothing(index_elements=[keys.c.key, keys.c.saga, keys.c.generation])
)
_INSERT_STREAM: Final = _text(insert(streams))
_INSERT_EVENT: Final = _text(insert(events))
_ADVANCE: Final = _text(
    update(streams)
    .where(streams.c.stream_id == bindparam("id"), streams.c.version == bindparam("expected"))
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

    at_once: ClassVar = False

    def among(self, column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return column.in_(bindparam("ids", expanding=True))

    def ids(self, stream_ids: Iterable[UUID]) -> list[UUID]:
        return [*stream_ids]

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        wanted = [(start, start.new) for start in starts if start.new is not None]
        # Two starts of one key in one batch: the first wins.
        taken = direct.execute_each(connection, _INSERT_KEY, [_key_row(start, new) for start, new in wanted])
        winners = [start for start, rows in zip(wanted, taken, strict=True) if rows]
        if winners:
            direct.execute_many(connection, _INSERT_STREAM, [_stream_row(start, new) for start, new in winners])
            direct.execute_many(connection, _INSERT_EVENT, _event_rows((start for start, _ in winners), batch_id))
        return {start.stream_id for start, _ in winners}

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        moved = direct.execute_each(connection, _ADVANCE, [_advance_row(append) for append in advances])
        winners = [append for append, rows in zip(advances, moved, strict=True) if rows]
        if winners:
            direct.execute_many(connection, _INSERT_EVENT, _event_rows(winners, batch_id))
        return {append.stream_id for append in winners}

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        rows: list[_Row] = [(each.published, each.next_due, _id(each.stream_id), each.version) for each in settlements]
        direct.execute_many(connection, _SETTLE, rows)


SQLITE_WRITER: Final = SqliteWriter()
"""The one for all stores: it keeps nothing."""

_Row: TypeAlias = tuple[bytearray | str | int | None, ...]


def _id(value: UUID) -> bytearray:
    """As the driver takes it at once: for bytes, as for truth values, it would look for an adapter each time."""
    return bytearray(value.bytes)


def _key_row(start: Append, new: NewStream) -> _Row:
    return (new.key, new.saga, new.generation, _id(start.stream_id), new.input_hash)


def _stream_row(start: Append, new: NewStream) -> _Row:
    return (
        _id(start.stream_id),
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
        int(append.moves_due),
        append.due,
        append.due,
        append.due,
        append.ended_at,
        _id(append.stream_id),
        append.expected_version,
    )


def _event_rows(appends: Iterable[Append], batch_id: UUID) -> list[_Row]:
    batch = _id(batch_id)
    rows: list[_Row] = []
    for append in appends:
        stream_id = _id(append.stream_id)
        rows += [
            (stream_id, event.version, event.type, event.data.decode(), event.at, batch) for event in append.events
        ]
    return rows
