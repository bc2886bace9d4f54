"""Keeps the newest snapshot of a stream. A cache: nothing is lost with it but time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, Engine

from saga_engine.adapters.sql.inserting import insert
from saga_engine.ports.store import Snapshot
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import snapshots
from saga_engine.sql.transaction import run_transaction


@cache
def save_statement(dialect: str) -> Statement[tuple[()]]:
    """Insert a snapshot, or replace an older one. Made once for each dialect."""
    new = insert(dialect, snapshots)
    return Statement(
        new.on_conflict_do_update(
            index_elements=["stream_id"],
            set_={"version": new.excluded.version, "data": new.excluded.data},
            where=snapshots.c.version < new.excluded.version,
        )
    )


def save_snapshots(engine: Engine, isolation: str | None, wanted: Sequence[Snapshot]) -> None:
    # In the order of ids, so that two writers of the same sagas do not wait for each other.
    rows = [
        {"stream_id": snapshot.stream_id, "version": snapshot.version, "data": snapshot.data}
        for snapshot in sorted(wanted, key=lambda snapshot: snapshot.stream_id)
    ]

    def work(connection: Connection) -> None:
        save_statement(engine.dialect.name).execute_many(connection, rows)

    if rows:
        run_transaction(engine, work, isolation=isolation, repeatable=True)
