"""Counts, in the participant's database, the tries of a command that did not come to an end: their process died.

A try is counted before the handler runs and the count is removed when the handler came back, whatever it said.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Engine, delete
from sqlalchemy.dialects import postgresql, sqlite

from saga_engine.errors import UnavailableError
from saga_engine.participant import inbox
from saga_engine.sql.schema import inbox_tries
from saga_engine.sql.transaction import run_transaction

MAX_CRASHED_TRIES: Final = 10


class Tries:
    """The counts of one participant. Safe from several threads, each key in one of them at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._survived: dict[str, int] = {}

    def begin(self, key: str, now: int) -> int:
        """Count a try; how many earlier ones crashed. 0 without counting when the command was answered for good."""
        return max(0, run_transaction(self._engine, lambda connection: self._begin(connection, key, now)))

    def end(self, key: str) -> None:
        """The try came to an end, so it did not crash.

        When the database is away its count stays behind there; it is remembered here, and not taken for a crash.
        """
        try:
            run_transaction(self._engine, lambda connection: _remove(connection, key), repeatable=True)
        except UnavailableError:
            self._survived[key] = self._survived.get(key, 0) + 1
        else:
            self._survived.pop(key, None)

    def _begin(self, connection: Connection, key: str, now: int) -> int:
        if inbox.read(connection, [key]):
            return 0
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = insert(inbox_tries).values(key=key, tries=1, recorded_at=now)
        counted = statement.on_conflict_do_update(
            index_elements=["key"], set_={"tries": inbox_tries.c.tries + 1, "recorded_at": now}
        ).returning(inbox_tries.c.tries)
        tries: int = connection.execute(counted).scalar_one()
        return tries - 1 - self._survived.get(key, 0)


def _remove(connection: Connection, key: str) -> None:
    connection.execute(delete(inbox_tries).where(inbox_tries.c.key == key))
