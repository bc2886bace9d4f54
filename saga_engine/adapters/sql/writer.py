"""What batches need from a dialect: to write many rows inside a transaction and say who won, and to read many by id.

Two implementations: `postgres_writer` (also for CockroachDB) and `sqlite_writer`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import ClassVar, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Connection

from saga_engine.ports.store import Append, Settlement


class Writer(Hashable, Protocol):
    """Statements over many rows at once, in a dialect's best way.

    `at_once`: each call of `start`, `advance` and `settle` executes one statement.
    """

    at_once: ClassVar[bool]

    def among(self, column: ColumnElement[UUID]) -> ColumnElement[bool]:
        """The condition that a column is one of the ids in the parameter `ids`, which `ids` makes."""
        ...

    def ids(self, stream_ids: Iterable[UUID]) -> str | list[UUID]:
        """Many ids as one parameter."""
        ...

    def start(self, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        """Take the keys that are free and write those streams; the ids of the streams that were written."""
        ...

    def advance(self, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        """Write the appends whose stream is still at the expected version; the ids of those."""
        ...

    def settle(self, connection: Connection, settlements: Sequence[Settlement]) -> None:
        """Write the settlements whose stream is still at their version."""
        ...
