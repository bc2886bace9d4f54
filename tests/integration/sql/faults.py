"""Commits that fail on purpose: refused before they happen, or lost with an unknown outcome, by a plan.

Wraps `dialect.do_commit`, through which every commit goes but those of statements that commit themselves, and the
cursors that run these. Knows no table.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, Final, cast

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import PoolProxiedConnection


class Fault(Enum):
    NONE = auto()
    REFUSED = auto()
    """The commit did not happen, and the database says so (40001, SQLITE_BUSY)."""
    UNKNOWN_APPLIED = auto()
    """The commit happened, and nobody can tell (40003)."""
    UNKNOWN_NOT_APPLIED = auto()
    """The commit did not happen, and nobody can tell (40003)."""
    LOST_APPLIED = auto()
    """The connection broke after the commit happened."""
    LOST_NOT_APPLIED = auto()
    """The connection broke before the commit happened."""


_WRITING: Final = ("INSERT INTO", "UPDATE ", "DELETE FROM")

APPLIED = (Fault.UNKNOWN_APPLIED, Fault.LOST_APPLIED)


class FaultyCommits:
    """Lets commits of an engine fail with the given chance, at random from a seed; `counts` what was injected."""

    def __init__(self, engine: Engine, seed: int, chance: float, faults: tuple[Fault, ...] = tuple(Fault)[1:]) -> None:
        self.counts: Counter[Fault] = Counter()
        self._random = random.Random(seed)
        self._chance = chance
        self._faults = faults
        self._sqlite = engine.dialect.name == "sqlite"
        self._commit = engine.dialect.do_commit
        self._dialect = engine.dialect
        self._cursor = self._faulty_cursor()
        # mypy has no other way to replace a method of one object.
        self._dialect.do_commit = self._do_commit  # type: ignore[method-assign,assignment]
        event.listen(engine, "checkout", self._make_faulty)

    def stop(self) -> None:
        self._chance = 0.0
        self._dialect.do_commit = self._commit  # type: ignore[method-assign]

    def _do_commit(self, connection: PoolProxiedConnection) -> None:
        self._instead(lambda: self._commit(connection), connection.driver_connection)

    def _instead(self, commit: Callable[[], object], connection: DBAPIConnection | None) -> None:
        """Commit, or not, and tell of it, or not, as the plan has it."""
        fault = self._random.choice(self._faults) if self._random.random() < self._chance else Fault.NONE
        self.counts[fault] += 1
        if fault in (*APPLIED, Fault.NONE):
            commit()
        if fault is not Fault.NONE:
            raise self._error(fault, connection)

    def _make_faulty(self, connection: DBAPIConnection, *_: object) -> None:
        if isinstance(connection, psycopg.Connection):
            connection.cursor_factory = self._cursor

    def _faulty_cursor(self) -> type[psycopg.Cursor[Any]]:
        faults = self

        class FaultyCursor(psycopg.Cursor[Any]):
            """One whose statements that write in autocommit are commits."""

            def execute(self, query: Any, params: Any = None, **more: Any) -> FaultyCursor:
                run = partial(super().execute, query, params, **more)
                if self.connection.autocommit and any(word in str(query) for word in _WRITING):
                    faults._instead(run, cast("DBAPIConnection", self.connection))
                else:
                    run()
                return self

        return FaultyCursor

    def _error(self, fault: Fault, connection: DBAPIConnection | None) -> Exception:
        if self._sqlite:
            error = sqlite3.OperationalError("injected")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY if fault is Fault.REFUSED else sqlite3.SQLITE_IOERR_FSYNC
            return error
        if fault is Fault.REFUSED:
            return psycopg.errors.SerializationFailure("restart transaction: injected")
        if fault in (Fault.UNKNOWN_APPLIED, Fault.UNKNOWN_NOT_APPLIED):
            return psycopg.errors.StatementCompletionUnknown("result is ambiguous: injected")
        if connection is not None:
            connection.close()
        return psycopg.OperationalError("server closed the connection unexpectedly: injected")
