"""Commits that fail on purpose: refused before they happen, or lost with an unknown outcome, by a plan.

Wraps `dialect.do_commit`, the one place through which every commit goes. Knows no table.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from enum import Enum, auto

import psycopg
from sqlalchemy import Engine
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
        # mypy has no other way to replace a method of one object.
        self._dialect.do_commit = self._do_commit  # type: ignore[method-assign,assignment]

    def stop(self) -> None:
        self._dialect.do_commit = self._commit  # type: ignore[method-assign]

    def _do_commit(self, connection: PoolProxiedConnection) -> None:
        fault = self._random.choice(self._faults) if self._random.random() < self._chance else Fault.NONE
        self.counts[fault] += 1
        if fault in (*APPLIED, Fault.NONE):
            self._commit(connection)
        if fault is not Fault.NONE:
            raise self._error(fault, connection.driver_connection)

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
