"""Many rows in one statement on PostgreSQL and CockroachDB: the rows travel as an array for each column.

A row that lost the compare-and-set drops out inside the statement, so that a batch costs one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    SmallInteger,
    Text,
    Update,
    Uuid,
    any_,
    bindparam,
    case,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from saga_engine.adapters.sql.arrays import array_of, in_lines, plain, rows_of, texts
from saga_engine.envelope import EventRecord, id_text, partition_of
from saga_engine.ports.store import Append, NewStream, Settlement
from saga_engine.sql import direct
from saga_engine.sql.schema import Id, events, keys, streams

_ADVANCES: Final = rows_of(
    "advances",
    column("stream_id", Id),
    column("expected", BigInteger),
    column("version", BigInteger),
    column("published", BigInteger),
    column("status", Text),
    column("next_due", BigInteger),
    column("ended_at", BigInteger),
    column("moves_due", Boolean),
)
_STARTS: Final = rows_of(
    "starts",
    column("stream_id", Id),
    column("saga", Text),
    column("key", Text),
    column("generation", Integer),
    column("input_hash", Text),
    column("definition_version", Integer),
    column("definition_hash", Text),
    column("partition", SmallInteger),
    column("version", BigInteger),
    column("published", BigInteger),
    column("status", Text),
    column("next_due", BigInteger),
    column("started_at", BigInteger),
    column("ended_at", BigInteger),
)
_EVENTS: Final = rows_of(
    "events",
    column("stream_id", Id),
    column("version", BigInteger),
    column("type", Text),
    column("at", BigInteger),
    lines=column("data", Text),
)
_SETTLEMENTS: Final = rows_of(
    "settlements",
    column("stream_id", Id),
    column("version", BigInteger),
    column("published", BigInteger),
    column("next_due", BigInteger),
)


def _among(column: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Whether a column is one of `ids`. Also said beside a join with the rows of parameters.

    The planner keeps the plan of such a join that it made for a small table: with the array it looks the batch up by
    index, however large the table has become.
    """
    return column == any_(array_of("ids", Uuid()))


def _written(winners: CTE) -> CTE:
    """Insert the events of those streams that won."""
    columns = [_EVENTS.c[name] for name in ("stream_id", "version", "type", "data", "at")]
    rows = select(*columns, bindparam("batch_id", type_=Id())).join_from(
        _EVENTS, winners, _EVENTS.c.stream_id == winners.c.stream_id
    )
    return insert(events).from_select(["stream_id", "version", "type", "data", "at", "batch_id"], rows).cte("written")


def advance_statement() -> Select[tuple[UUID]]:
    """Move the stream rows that are at the expected version, insert their events; the ids of those."""
    moved = (
        update(streams)
        .where(
            _among(streams.c.stream_id),
            streams.c.stream_id == _ADVANCES.c.stream_id,
            streams.c.version == _ADVANCES.c.expected,
        )
        .values(
            version=_ADVANCES.c.version,
            published=func.greatest(streams.c.published, _ADVANCES.c.published),
            status=_ADVANCES.c.status,
            next_due=case(
                (_ADVANCES.c.moves_due, _ADVANCES.c.next_due),
                # The earlier of the two; a missing one does not count.
                else_=func.coalesce(
                    func.least(streams.c.next_due, _ADVANCES.c.next_due), streams.c.next_due, _ADVANCES.c.next_due
                ),
            ),
            ended_at=func.coalesce(_ADVANCES.c.ended_at, streams.c.ended_at),
        )
        .returning(streams.c.stream_id)
        .cte("moved")
    )
    return select(moved.c.stream_id).add_cte(_written(moved))


def start_statement() -> Select[tuple[UUID]]:
    """Insert the keys that are free, their stream rows and events; the ids of those."""
    # Named, for it is used twice: else the server would read the arrays twice.
    given = select(*_STARTS.c).cte("given")
    names = ("key", "saga", "generation", "stream_id", "input_hash")
    won = (
        insert(keys)
        .from_select(names, select(*(given.c[name] for name in names)))
        .on_conflict_do_nothing(index_elements=["key", "saga", "generation"])
        .returning(keys.c.stream_id)
        .cte("won")
    )
    columns = streams.c.keys()
    rows = select(*(given.c[name] for name in columns)).join_from(given, won, given.c.stream_id == won.c.stream_id)
    started = insert(streams).from_select(columns, rows).cte("started")
    return select(won.c.stream_id).add_cte(started, _written(won))


def settle_statement() -> Update:
    """Move cursors and due times of the streams that are still at their version."""
    return (
        update(streams)
        .where(
            _among(streams.c.stream_id),
            streams.c.stream_id == _SETTLEMENTS.c.stream_id,
            streams.c.version == _SETTLEMENTS.c.version,
        )
        .values(
            published=func.greatest(streams.c.published, _SETTLEMENTS.c.published),
            next_due=_SETTLEMENTS.c.next_due,
        )
    )


class PostgresWriter:
    """`writer.Writer` for PostgreSQL and CockroachDB.

    Compiles its statements once: SQLAlchemy caches no INSERT from a SELECT, and compiling one costs milliseconds.
    """

    at_once: ClassVar = True

    def __init__(self, dialect: Dialect) -> None:
        self._start = _text(start_statement(), dialect)
        self._advance = _text(advance_statement(), dialect)
        self._settle = _text(settle_statement(), dialect)

    def among(self, column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return _among(column)

    def ids(self, stream_ids: Iterable[UUID]) -> str:
        """An array, as the text that the server reads: psycopg would spend more on each id."""
        return _array_of(stream_ids)

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        return self._winners(connection, self._start, starts, batch_id, _start_columns(starts))

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        return self._winners(connection, self._advance, advances, batch_id, _advance_columns(advances))

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        ids = _array_of([each.stream_id for each in settlements])
        columns = {
            "ids": ids,
            "settlements_stream_id": ids,
            "settlements_version": plain([each.version for each in settlements]),
            "settlements_published": plain([each.published for each in settlements]),
            "settlements_next_due": plain([each.next_due for each in settlements]),
        }
        direct.execute(connection, self._settle, columns)

    def _winners(
        self,
        connection: Connection,
        statement: str,
        appends: Sequence[Append],
        batch_id: UUID,
        columns: dict[str, str],
    ) -> set[UUID]:
        parameters = {**columns, **_event_columns(appends), "batch_id": batch_id}
        return {stream_id for (stream_id,) in direct.fetch(connection, statement, parameters)}


def _text(statement: Select[tuple[UUID]] | Update, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def _array_of(stream_ids: Iterable[UUID]) -> str:
    return plain(map(id_text, stream_ids))


def _advance_columns(advances: Sequence[Append]) -> dict[str, str]:
    ids = _array_of([append.stream_id for append in advances])
    return {
        "ids": ids,
        "advances_stream_id": ids,
        "advances_expected": plain([append.expected_version for append in advances]),
        "advances_version": plain([append.expected_version + len(append.events) for append in advances]),
        "advances_published": plain([append.published for append in advances]),
        "advances_status": texts([append.status for append in advances]),
        "advances_next_due": plain([append.due for append in advances]),
        "advances_ended_at": plain([append.ended_at for append in advances]),
        "advances_moves_due": plain([append.moves_due for append in advances]),
    }


def _start_columns(starts: Sequence[Append]) -> dict[str, str]:
    news = [_new(start) for start in starts]
    return {
        "starts_stream_id": _array_of([start.stream_id for start in starts]),
        "starts_saga": texts([new.saga for new in news]),
        "starts_key": texts([new.key for new in news]),
        "starts_generation": plain([new.generation for new in news]),
        "starts_input_hash": texts([new.input_hash for new in news]),
        "starts_definition_version": plain([new.definition_version for new in news]),
        "starts_definition_hash": texts([new.definition_hash for new in news]),
        "starts_partition": plain([partition_of(start.stream_id) for start in starts]),
        "starts_version": plain([len(start.events) for start in starts]),
        "starts_published": plain([start.published for start in starts]),
        "starts_status": texts([start.status for start in starts]),
        "starts_next_due": plain([start.due for start in starts]),
        "starts_started_at": plain([start.events[0].at for start in starts]),
        "starts_ended_at": plain([start.ended_at for start in starts]),
    }


def _new(start: Append) -> NewStream:
    if start.new is None:
        raise ValueError(f"append to {start.stream_id}: not a start")
    return start.new


def _event_columns(appends: Sequence[Append]) -> dict[str, str]:
    ids: list[str] = []
    records: list[EventRecord] = []
    for append in appends:
        ids += [id_text(append.stream_id)] * len(append.events)
        records += append.events
    return {
        "events_stream_id": plain(ids),
        "events_version": plain([event.version for event in records]),
        "events_type": texts([event.type for event in records]),
        "events_at": plain([event.at for event in records]),
        "events_data": in_lines([event.data for event in records]),
    }
