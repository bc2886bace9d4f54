"""The checkpoints of a projection: up to which version it has taken in each stream. SQL, and nothing else.

They stand in the projection's own database, so that they are written in the transaction of what they vouch for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, Table, bindparam, delete, select, update

from saga_engine.sql.schema import checkpoints
from saga_engine.sql.transaction import run_query

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_GATE: Final = UUID(int=0)
"""The row that all who take in events share, and that a rebuild has for itself. No saga has this id."""

_BEGIN: Final = {"version": 0, "open": 1, "trouble": None}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Up to which version a stream was taken in. `trouble`: why what follows could not be, when it was last tried."""

    version: int
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Advance:
    """A stream has been taken in up to `version`. `open`: its end is not among what was."""

    stream_id: UUID
    version: int
    open: bool


class Checkpoints:
    """Those of one projection."""

    def __init__(self, projection: str) -> None:
        self._projection = projection
        self._own = checkpoints.c.projection == projection

    def of(self, engine: Engine, stream_ids: Sequence[UUID]) -> Mapping[UUID, Checkpoint]:
        """The checkpoints of these streams; one that was never seen is absent."""
        wanted = select(checkpoints.c.stream_id, checkpoints.c.version, checkpoints.c.trouble).where(
            self._own, checkpoints.c.stream_id.in_(stream_ids)
        )
        rows = run_query(engine, lambda connection: connection.execute(wanted).all())
        return {row[0]: Checkpoint(row[1], row[2]) for row in rows}

    def open(self, engine: Engine, after: UUID, limit: int) -> Mapping[UUID, int]:
        """Streams whose end was not seen yet, by id from after `after`, with the version up to which they were."""
        wanted = (
            select(checkpoints.c.stream_id, checkpoints.c.version)
            .where(self._own, checkpoints.c.open == 1, checkpoints.c.stream_id > after)
            .order_by(checkpoints.c.stream_id)
            .limit(limit)
        )
        rows = run_query(engine, lambda connection: connection.execute(wanted).all())
        return {row[0]: row[1] for row in rows}

    def lock(self, connection: Connection, stream_ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """The versions of these streams (0: nothing of it yet), which are ours until the transaction ends.

        Waits for others who take in one of them, and for a rebuild.
        """
        # In the order of the ids, as everybody does it: so nobody waits in a circle.
        ids = sorted(stream_ids)
        self._pass_gate(connection, shared=True)
        self._make(connection, ids)
        wanted = (
            select(checkpoints.c.stream_id, checkpoints.c.version)
            .where(self._own, checkpoints.c.stream_id.in_(ids))
            .order_by(checkpoints.c.stream_id)
            .with_for_update()
        )
        return {row[0]: row[1] for row in connection.execute(wanted).all()}

    def advance(self, connection: Connection, advances: Iterable[Advance]) -> None:
        """Move locked checkpoints on."""
        rows = [{"one": one.stream_id, "to": one.version, "still": int(one.open)} for one in advances]
        if rows:
            moved = update(checkpoints).where(self._own, checkpoints.c.stream_id == bindparam("one"))
            connection.execute(moved.values(version=bindparam("to"), open=bindparam("still"), trouble=None), rows)

    def trouble(self, connection: Connection, stream_id: UUID, reason: str) -> None:
        """Say why a locked stream cannot be taken in any further."""
        found = update(checkpoints).where(self._own, checkpoints.c.stream_id == stream_id)
        connection.execute(found.values(trouble=reason))

    def close(self, connection: Connection) -> None:
        """Keep out everybody else who would take in something, until the transaction ends."""
        self._pass_gate(connection, shared=False)

    def forget(self, connection: Connection) -> None:
        """All are at their beginning. `close` came first."""
        connection.execute(delete(checkpoints).where(self._own, checkpoints.c.stream_id != _GATE))

    def _pass_gate(self, connection: Connection, *, shared: bool) -> None:
        gate = select(checkpoints.c.version).where(self._own, checkpoints.c.stream_id == _GATE)
        while connection.execute(gate.with_for_update(read=shared)).first() is None:
            self._make(connection, [_GATE])

    def _make(self, connection: Connection, stream_ids: Sequence[UUID]) -> None:
        """Rows for streams that have none. Waits for who is making the same ones."""
        adding = _insert(connection.dialect.name, checkpoints).on_conflict_do_nothing()
        rows = [{"projection": self._projection, "stream_id": one} | _BEGIN for one in stream_ids]
        rows = [row | {"open": int(row["stream_id"] != _GATE)} for row in rows]
        connection.execute(adding, rows)


def _insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that takes an ON CONFLICT clause, which SQLAlchemy has per dialect only."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
