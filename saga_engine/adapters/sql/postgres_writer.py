"""Many rows in one statement on PostgreSQL and CockroachDB: the rows travel as one JSON parameter.

A row that lost the compare-and-set drops out inside the statement, so that a batch costs one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import (
    ARRAY,
    CTE,
    JSON,
    BigInteger,
    Boolean,
    ColumnClause,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    SmallInteger,
    TableValuedAlias,
    Text,
    Update,
    Uuid,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.types import UserDefinedType

from saga_engine.envelope import partition_of
from saga_engine.ports.store import Append, Settlement
from saga_engine.sql import direct
from saga_engine.sql.schema import Id, events, keys, streams


def _records(
    parameter: str, *columns: ColumnClause[UUID] | ColumnClause[int] | ColumnClause[str] | ColumnClause[bool]
) -> TableValuedAlias:
    """The rows of a JSON parameter: `json_to_recordset(:parameter) AS parameter_rows(column type, ...)`."""
    document = cast(bindparam(parameter, type_=Text()), JSON)
    rows = func.json_to_recordset(document).table_valued(*columns)
    return rows.render_derived(name=f"{parameter}_rows", with_types=True)


_ADVANCES: Final = _records(
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
_STARTS: Final = _records(
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
_EVENTS: Final = _records(
    "events",
    column("stream_id", Id),
    column("version", BigInteger),
    column("type", Text),
    column("data", Text),
    column("at", BigInteger),
)
_SETTLEMENTS: Final = _records(
    "settlements",
    column("stream_id", Id),
    column("version", BigInteger),
    column("published", BigInteger),
    column("next_due", BigInteger),
)


class _Untyped(UserDefinedType[str]):
    """A parameter whose type the server takes from the cast around it, so that its text is read once, when it is bound.

    Cast from text instead, an array of ids is read anew for every row that is compared with it.
    """

    cache_ok = True


def _among(column: ColumnElement[UUID]) -> ColumnElement[bool]:
    """Whether a column is one of `ids`. Also said beside a join with a JSON parameter.

    The planner takes such a parameter for a hundred rows of anything, and keeps the plan that it made for a small
    table: with the array it looks the batch up by index, however large the table has become.
    """
    return column == any_(cast(bindparam("ids", type_=_Untyped()), ARRAY(Uuid)))


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
    names = ("key", "saga", "generation", "stream_id", "input_hash")
    won = (
        insert(keys)
        .from_select(names, select(*(_STARTS.c[name] for name in names)))
        .on_conflict_do_nothing(index_elements=["key", "saga", "generation"])
        .returning(keys.c.stream_id)
        .cte("won")
    )
    columns = streams.c.keys()
    rows = select(*(_STARTS.c[name] for name in columns)).join_from(
        _STARTS, won, _STARTS.c.stream_id == won.c.stream_id
    )
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

    def __init__(self, dialect: Dialect) -> None:
        self._start = _text(start_statement(), dialect)
        self._advance = _text(advance_statement(), dialect)
        self._settle = _text(settle_statement(), dialect)

    def among(self, column: ColumnElement[UUID]) -> ColumnElement[bool]:
        return _among(column)

    def ids(self, stream_ids: Iterable[UUID]) -> str:
        """An array, as the text that the server reads: psycopg would spend more on each id."""
        return f"{{{','.join(map(str, stream_ids))}}}"

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        rows = [_start_row(start) for start in starts]
        parameters = {"starts": _json(rows), "events": _event_rows(starts), "batch_id": batch_id}
        return {stream_id for (stream_id,) in direct.fetch(connection, self._start, parameters)}

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        rows = [
            {
                "stream_id": append.stream_id,
                "expected": append.expected_version,
                "version": append.expected_version + len(append.events),
                "published": append.published,
                "status": append.status,
                "next_due": append.due,
                "ended_at": append.ended_at,
                "moves_due": append.moves_due,
            }
            for append in advances
        ]
        parameters = {
            "ids": self.ids(append.stream_id for append in advances),
            "advances": _json(rows),
            "events": _event_rows(advances),
            "batch_id": batch_id,
        }
        return {stream_id for (stream_id,) in direct.fetch(connection, self._advance, parameters)}

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        rows = [
            {
                "stream_id": settlement.stream_id,
                "version": settlement.version,
                "published": settlement.published,
                "next_due": settlement.next_due,
            }
            for settlement in settlements
        ]
        direct.execute(
            connection,
            self._settle,
            {"ids": self.ids(each.stream_id for each in settlements), "settlements": _json(rows)},
        )


def _text(statement: Select[tuple[UUID]] | Update, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def _start_row(start: Append) -> dict[str, object]:
    new = start.new
    if new is None:
        raise ValueError(f"append to {start.stream_id}: not a start")
    return {
        "stream_id": start.stream_id,
        "saga": new.saga,
        "key": new.key,
        "generation": new.generation,
        "input_hash": new.input_hash,
        "definition_version": new.definition_version,
        "definition_hash": new.definition_hash,
        "partition": partition_of(start.stream_id),
        "version": len(start.events),
        "published": start.published,
        "status": start.status,
        "next_due": start.due,
        "started_at": start.events[0].at,
        "ended_at": start.ended_at,
    }


def _event_rows(appends: Sequence[Append]) -> str:
    return _json(
        [
            {
                "stream_id": append.stream_id,
                "version": event.version,
                "type": event.type,
                "data": event.data.decode(),
                "at": event.at,
            }
            for append in appends
            for event in append.events
        ]
    )


def _json(rows: Sequence[Mapping[str, object]]) -> str:
    return orjson.dumps(rows).decode()
