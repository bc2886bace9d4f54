"""Stores definitions by the hash of their content, and the versions that name them.

Knows nothing of what a definition says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, and_, bindparam, select

from saga_engine.adapters.sql.inserting import insert
from saga_engine.ports.store import DefinitionRecord
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import definition_versions as versions
from saga_engine.sql.schema import definitions
from saga_engine.sql.transaction import run_query, run_transaction

_COLUMNS: Final = (definitions.c.hash, definitions.c.saga, versions.c.version, definitions.c.content)
_NAMES: Final = and_(versions.c.saga == definitions.c.saga, versions.c.hash == definitions.c.hash)

_HOLDER: Final = (
    select(*_COLUMNS)
    .join_from(versions, definitions, _NAMES)
    .where(versions.c.saga == bindparam("saga"), versions.c.version == bindparam("version"))
)
_BY_HASH: Final = Statement(
    select(*_COLUMNS).outerjoin_from(definitions, versions, _NAMES).where(definitions.c.hash == bindparam("hash"))
)
_NAMED: Final = select(*_COLUMNS).join_from(versions, definitions, _NAMES).order_by(versions.c.saga, versions.c.version)


class DefinitionShelf:
    """The definitions of one store."""

    def __init__(self, engine: Engine, isolation: str | None) -> None:
        self._engine = engine
        self._isolation = isolation
        claim = insert(engine.dialect.name, versions).on_conflict_do_nothing(index_elements=["saga", "version"])
        self._claim = claim.returning(versions.c.version)
        self._keep = insert(engine.dialect.name, definitions).on_conflict_do_nothing(index_elements=["hash"])

    def register(self, records: Sequence[DefinitionRecord]) -> Sequence[DefinitionRecord | None]:
        def work(connection: Connection) -> list[DefinitionRecord | None]:
            return [self._register(connection, record) for record in records]

        return run_transaction(self._engine, work, isolation=self._isolation, repeatable=True)

    def get(self, digest: str) -> DefinitionRecord | None:
        rows = run_query(self._engine, lambda connection: _BY_HASH.fetch(connection, {"hash": digest}))
        return _record(rows[0]) if rows else None

    def named(self, saga: str | None) -> Sequence[DefinitionRecord]:
        statement = _NAMED if saga is None else _NAMED.where(versions.c.saga == saga)
        rows = run_query(self._engine, lambda connection: connection.execute(statement).all())
        return [_record(row) for row in rows]

    def _register(self, connection: Connection, record: DefinitionRecord) -> DefinitionRecord | None:
        if record.version is not None:
            name = {"saga": record.saga, "version": record.version}
            if connection.execute(self._claim, {**name, "hash": record.hash}).first() is None:
                holder = _record(connection.execute(_HOLDER, name).one())
                return None if holder.hash == record.hash else holder
        content = {"hash": record.hash, "saga": record.saga, "content": record.content.decode()}
        connection.execute(self._keep, content)
        return None


def _record(row: Sequence[Any]) -> DefinitionRecord:
    digest, saga, version, content = row
    return DefinitionRecord(digest, saga, version, content.encode())
