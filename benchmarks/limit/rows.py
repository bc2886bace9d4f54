"""The limit's one table of events, written by COPY: a group of rows, one commit.

Knows no saga.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import psycopg


class Row(NamedTuple):
    """One event, encoded."""

    saga_id: str
    version: int
    type: str
    data: bytes


class EventTable:
    """The table in the empty database of `url`. Blocking."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.execute(
            "CREATE TABLE events (saga_id uuid NOT NULL, version int NOT NULL, type text NOT NULL, "
            "at timestamptz NOT NULL DEFAULT now(), data jsonb NOT NULL, PRIMARY KEY (saga_id, version))"
        )
        self._connection.commit()

    def write(self, rows: Sequence[Row]) -> None:
        """All in one commit."""
        with self._connection.cursor().copy("COPY events (saga_id, version, type, data) FROM STDIN") as copy:
            copy.write(b"".join([_line(row) for row in rows]))
        self._connection.commit()

    def check(self, sagas: int, rows_of_each: int) -> None:
        """RuntimeError unless the table holds all rows of that many sagas, each with its end."""
        found = self._connection.execute(
            "SELECT count(*), count(DISTINCT saga_id), count(*) FILTER (WHERE type = 'SagaCompleted') FROM events"
        ).fetchone()
        expected = (sagas * rows_of_each, sagas, sagas)
        if found != expected:
            raise RuntimeError(f"the limit wrote {found} rows, sagas and ends; expected {expected}")

    def close(self) -> None:
        self._connection.close()


def _line(row: Row) -> bytes:
    data = row.data.replace(b"\\", b"\\\\")
    return b"%s\t%d\t%s\t%s\n" % (row.saga_id.encode(), row.version, row.type.encode(), data)
