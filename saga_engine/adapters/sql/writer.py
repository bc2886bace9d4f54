"""What a batch of appends needs from a dialect: to write it inside a transaction, and to say who won.

Two implementations: `postgres_writer` (also for CockroachDB) and `sqlite_writer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection, Row

from saga_engine.adapters.sql.rows import EventRow
from saga_engine.ports import Append, Settlement


class Writer(Protocol):
    """Statements over many rows at once, in a dialect's best way."""

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        """Take the keys that are free and write those streams; the ids of the streams that were written."""
        ...

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        """Write the appends whose stream is still at the expected version; the ids of those."""
        ...

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        """Write the settlements whose stream is still at their version."""
        ...

    def events(self, connection: Connection, ranges: Sequence[tuple[UUID, int, int]]) -> Iterable[Row[EventRow]]:
        """The events of streams, each after a version up to another one, in order of stream and version."""
        ...
