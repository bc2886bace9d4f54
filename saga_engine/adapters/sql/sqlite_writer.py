"""Many rows on SQLite: read what is there under the write lock, then write the winners with executemany.

Must run in a transaction that was begun IMMEDIATE (`sql.engine` sees to it): nobody else writes between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, func, insert, select, tuple_, update

from saga_engine.adapters.sql.rows import EventRow, select_events
from saga_engine.envelope import partition_of
from saga_engine.ports import Append, NewStream, Settlement
from saga_engine.sql.schema import Id, events, keys, streams

_VERSIONS: Final = select(streams.c.stream_id, streams.c.version).where(
    streams.c.stream_id.in_(bindparam("ids", expanding=True))
)
_TAKEN: Final = select(keys.c.key, keys.c.saga, keys.c.generation).where(
    tuple_(keys.c.key, keys.c.saga, keys.c.generation).in_(bindparam("wanted", expanding=True))
)
_ADVANCE: Final = (
    update(streams)
    .where(streams.c.stream_id == bindparam("id", type_=Id()))
    .values(
        version=bindparam("new_version"),
        published=func.max(streams.c.published, bindparam("new_published")),
        status=bindparam("new_status"),
        # The earlier of the two; a missing one does not count (SQLite's two-argument min gives null for a null).
        next_due=func.coalesce(func.min(streams.c.next_due, bindparam("due")), streams.c.next_due, bindparam("due")),
        ended_at=func.coalesce(bindparam("new_ended_at"), streams.c.ended_at),
    )
)
_SETTLE: Final = (
    update(streams)
    .where(streams.c.stream_id == bindparam("id", type_=Id()), streams.c.version == bindparam("at_version"))
    .values(published=func.max(streams.c.published, bindparam("new_published")), next_due=bindparam("due"))
)
_SELECT_EVENTS: Final = (
    select_events()
    .where(
        events.c.stream_id == bindparam("id", type_=Id()),
        events.c.version > bindparam("after"),
        events.c.version <= bindparam("upto"),
    )
    .order_by(events.c.version)
)


class SqliteWriter:
    """`writer.Writer` for SQLite."""

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        wanted: dict[tuple[str, str, int], tuple[Append, NewStream]] = {}
        for start in starts:
            if start.new is not None:
                # Two starts of one key in one batch: the first wins.
                wanted.setdefault((start.new.key, start.new.saga, start.new.generation), (start, start.new))
        taken = {tuple(row) for row in connection.execute(_TAKEN, {"wanted": list(wanted)})}
        winners = [entry for key, entry in wanted.items() if key not in taken]
        if winners:
            connection.execute(insert(keys), [_key_row(start, new) for start, new in winners])
            connection.execute(insert(streams), [_stream_row(start, new) for start, new in winners])
            _insert_events(connection, [start for start, _ in winners], batch_id)
        return {start.stream_id for start, _ in winners}

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        rows = connection.execute(_VERSIONS, {"ids": [append.stream_id for append in advances]})
        stored: dict[UUID, int] = {row.stream_id: row.version for row in rows}
        winners = [append for append in advances if stored.get(append.stream_id) == append.expected_version]
        if winners:
            connection.execute(_ADVANCE, [_advance_row(append) for append in winners])
            _insert_events(connection, winners, batch_id)
        return {append.stream_id for append in winners}

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        connection.execute(
            _SETTLE,
            [
                {
                    "id": each.stream_id,
                    "at_version": each.version,
                    "new_published": each.published,
                    "due": each.next_due,
                }
                for each in settlements
            ],
        )

    def events(self, connection: Connection, ranges: Sequence[tuple[UUID, int, int]]) -> Iterable[Row[EventRow]]:
        for stream_id, after, upto in ranges:
            yield from connection.execute(_SELECT_EVENTS, {"id": stream_id, "after": after, "upto": upto})


def _key_row(start: Append, new: NewStream) -> dict[str, object]:
    return {
        "key": new.key,
        "saga": new.saga,
        "generation": new.generation,
        "stream_id": start.stream_id,
        "input_hash": new.input_hash,
    }


def _stream_row(start: Append, new: NewStream) -> dict[str, object]:
    return {
        "stream_id": start.stream_id,
        "saga": new.saga,
        "key": new.key,
        "generation": new.generation,
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


def _advance_row(append: Append) -> dict[str, object]:
    return {
        "id": append.stream_id,
        "new_version": append.expected_version + len(append.events),
        "new_published": append.published,
        "new_status": append.status,
        "due": append.due,
        "new_ended_at": append.ended_at,
    }


def _insert_events(connection: Connection, appends: Sequence[Append], batch_id: UUID) -> None:
    connection.execute(
        insert(events),
        [
            {
                "stream_id": append.stream_id,
                "version": event.version,
                "type": event.type,
                "data": event.data.decode(),
                "at": event.at,
                "batch_id": batch_id,
            }
            for append in appends
            for event in append.events
        ],
    )
