"""Partition leases: compare-and-set rows with an end on the store's clock. For speed only, never for safety."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from sqlalchemy import Connection, Engine, bindparam, select, update

from saga_engine.adapters.sql.inserting import insert
from saga_engine.ports.store import Lease, LeaseChange
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import leases
from saga_engine.sql.transaction import run_query, run_transaction

_ALL: Final = Statement(select(leases.c.name, leases.c.owner, leases.c.expires_at).order_by(leases.c.name))
_CHANGE: Final = Statement(
    update(leases)
    .where(
        leases.c.name == bindparam("lease"),
        leases.c.owner == bindparam("seen_owner"),
        leases.c.expires_at == bindparam("seen_expires_at"),
    )
    .values(owner=bindparam("new_owner"), expires_at=bindparam("new_expires_at"))
)


@cache
def _create(dialect: str) -> Statement[tuple[()]]:
    return Statement(insert(dialect, leases).on_conflict_do_nothing(index_elements=["name"]))


class LeaseTable:
    """The leases of one store."""

    def __init__(self, engine: Engine, isolation: str | None) -> None:
        self._engine = engine
        self._isolation = isolation
        self._create = _create(engine.dialect.name)

    def all(self) -> Sequence[Lease]:
        rows = run_query(self._engine, lambda connection: _ALL.fetch(connection))
        return [Lease(name, owner, expires_at) for name, owner, expires_at in rows]

    def change(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        # In the order of names, so that two owners who want several do not wait for each other.
        ordered = sorted(changes, key=lambda change: change.name)

        def work(connection: Connection) -> dict[str, tuple[str, int]]:
            for statement, rows in (
                (self._create, [_row(change) for change in ordered if change.seen is None]),
                (_CHANGE, [_move(change, change.seen) for change in ordered if change.seen is not None]),
            ):
                if rows:
                    statement.execute_many(connection, rows)
            # What counts is how it stands now: so a repetition after an unknown commit says the same.
            return {name: (owner, expires_at) for name, owner, expires_at in _ALL.fetch(connection)}

        stored = run_transaction(self._engine, work, isolation=self._isolation, repeatable=True)
        return [stored.get(change.name) == (change.owner, change.expires_at) for change in changes]


def _row(change: LeaseChange) -> dict[str, str | int]:
    return {"name": change.name, "owner": change.owner, "expires_at": change.expires_at}


def _move(change: LeaseChange, seen: Lease) -> dict[str, str | int]:
    return {
        "lease": change.name,
        "seen_owner": seen.owner,
        "seen_expires_at": seen.expires_at,
        "new_owner": change.owner,
        "new_expires_at": change.expires_at,
    }
