"""Which sagas have ended: one cheap question to the engine's database for many of them.

A client asks with a row for each saga; the benchmark must not cost what it measures.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Protocol
from uuid import UUID

import psycopg


class Watching(Protocol):
    """Asks the database. Blocking."""

    def ended(self, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """The status of those of these sagas that have ended."""
        ...


class _OnPostgres:
    def __init__(self, connection: psycopg.Connection[tuple[UUID, str]]) -> None:
        self._connection = connection

    def ended(self, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        # The array as text: made of ids one by one it would cost this process more than all else it does.
        wanted = f"{{{','.join(map(str, saga_ids))}}}"
        return dict(
            self._connection.execute(
                "SELECT stream_id, status FROM saga_streams WHERE stream_id = ANY(%s::uuid[]) AND ended_at IS NOT NULL",
                [wanted],
            ).fetchall()
        )


class _OnSqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def ended(self, saga_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        places = ",".join("?" * len(saga_ids))
        rows = self._connection.execute(
            f"SELECT stream_id, status FROM saga_streams WHERE stream_id IN ({places}) AND ended_at IS NOT NULL",  # noqa: S608 - only question marks
            [saga_id.bytes for saga_id in saga_ids],
        )
        return {UUID(bytes=stream_id): status for stream_id, status in rows.fetchall()}


@contextmanager
def watching(url: str) -> Iterator[Watching]:
    """Look at the engine's database of that url, until the end of the block."""
    if url.startswith("sqlite"):
        path = url.partition(":///")[2]
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as file:
            yield _OnSqlite(file)
        return
    with psycopg.connect(url, autocommit=True) as connection:
        yield _OnPostgres(connection)
