"""Rows as the port's values, and the statements that select them in that order.

Knows the tables' columns and the port's shapes. Runs no statement.
"""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Select, select

from saga_engine.envelope import EventRecord, StreamHead
from saga_engine.sql.schema import events, streams

HeadRow: TypeAlias = tuple[
    UUID, str, str, int, int, str, int, int, int, str, int | None, int, int | None
]  # in the order of StreamHead's fields
EventRow: TypeAlias = tuple[UUID, int, str, str, int]


def select_heads() -> Select[HeadRow]:
    """Stream rows, to be read with `head_of`."""
    return select(
        streams.c.stream_id,
        streams.c.saga,
        streams.c.key,
        streams.c.generation,
        streams.c.definition_version,
        streams.c.definition_hash,
        streams.c.partition,
        streams.c.version,
        streams.c.published,
        streams.c.status,
        streams.c.next_due,
        streams.c.started_at,
        streams.c.ended_at,
    )


def select_events() -> Select[EventRow]:
    """Events: stream id, version, type, data, at."""
    return select(events.c.stream_id, events.c.version, events.c.type, events.c.data, events.c.at)


def record_of(version: int, kind: str, data: object, at: int) -> EventRecord:
    """The record of an event's row. One that somebody has changed may hold anything: who decodes it says so."""
    return EventRecord(version, kind, (data if isinstance(data, str) else repr(data)).encode("utf-8", "replace"), at)


def head_of(row: HeadRow) -> StreamHead:
    return StreamHead(*row)
