"""What a database error means for us, by SQLSTATE or SQLite's code, never by its text (but for SQLite's missing table).

Pure classification. Decides nothing about retrying.
"""

from __future__ import annotations

import sqlite3
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from saga_engine.errors import StoreUnavailableError

if TYPE_CHECKING:
    import psycopg


class Trouble(Enum):
    """Kinds of trouble. The transaction did nothing, except for UNKNOWN_COMMIT."""

    RETRY = auto()
    """Lost against another transaction: run the whole transaction again."""
    STALE_PLAN = auto()
    """A statement was prepared before a migration: run the whole transaction again, on another connection."""
    UNKNOWN_COMMIT = auto()
    """The commit may or may not have happened."""
    UNAVAILABLE = auto()
    """The database cannot be reached, is shutting down, or is out of connections, memory or disk."""
    SCHEMA_MISSING = auto()
    """A table or a column is not there."""
    OTHER = auto()
    """The statement or its data is at fault."""


_UNKNOWN: Final = "40003"
_RETRY_CLASS: Final = "40"
# "cached plan must not change result type" has the code of all unsupported features, hence one more try, not many.
_STALE_PLAN: Final = "0A000"
_UNAVAILABLE_CLASSES: Final = ("08", "53", "57", "58")
# 25006: a server that was demoted; 25P03: a transaction of ours was ended, since we said nothing for long; 3D000: a
# database that is not there (yet); 28...: a password that was rotated.
_UNAVAILABLE: Final = frozenset({"25006", "25P03", "3D000", "28000", "28P01"})
# Undefined table, undefined column, undefined schema.
_SCHEMA: Final = frozenset({"42P01", "42703", "3F000"})

_SQLITE_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_UNAVAILABLE: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CORRUPT,
    }
)
_PRIMARY_CODE: Final = 0xFF
"""SQLite's extended codes carry the primary one in the lowest byte."""


def classify(error: BaseException, *, at_commit: bool = False) -> Trouble:
    """What an exception of SQLAlchemy, psycopg or sqlite3 means; `at_commit`: it came from COMMIT itself."""
    trouble = _classify(error)
    if at_commit and trouble is Trouble.UNAVAILABLE:
        return Trouble.UNKNOWN_COMMIT
    return trouble


def is_infrastructure(error: BaseException) -> bool:
    """Whether trouble of the database alone caused this: then a participant has not failed, it is asked again later."""
    return isinstance(error, StoreUnavailableError) or classify(error) in (
        Trouble.RETRY,
        Trouble.UNKNOWN_COMMIT,
        Trouble.UNAVAILABLE,
    )


def _classify(error: BaseException) -> Trouble:
    if isinstance(error, PoolTimeoutError):
        return Trouble.UNAVAILABLE
    origin: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, sqlite3.Error):
        return _classify_sqlite(origin)
    # Imported late, here and below: who works on a SQLite file never needs the driver.
    import psycopg

    if isinstance(origin, psycopg.Error):
        # No statement: while connecting, where even a mistyped option of the url is raised as an error of the program.
        return _classify_psycopg(origin, connecting=isinstance(error, DBAPIError) and error.statement is None)
    return Trouble.OTHER


def _classify_psycopg(error: psycopg.Error, *, connecting: bool) -> Trouble:
    import psycopg

    state = error.sqlstate
    if state is None:
        # Raised by the client itself: no connection, or it broke. Other errors of the client are mistakes of ours.
        lost = connecting or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Trouble.UNAVAILABLE if lost else Trouble.OTHER
    if state == _UNKNOWN:
        return Trouble.UNKNOWN_COMMIT
    if state.startswith(_RETRY_CLASS):
        return Trouble.RETRY
    if state == _STALE_PLAN:
        return Trouble.STALE_PLAN
    if state in _SCHEMA:
        return Trouble.SCHEMA_MISSING
    if state in _UNAVAILABLE or state.startswith(_UNAVAILABLE_CLASSES):
        return Trouble.UNAVAILABLE
    return Trouble.OTHER


def _classify_sqlite(error: sqlite3.Error) -> Trouble:
    # Absent where the sqlite3 module itself raised.
    extended = getattr(error, "sqlite_errorcode", None)
    code = extended & _PRIMARY_CODE if isinstance(extended, int) else None
    if code in _SQLITE_BUSY:
        return Trouble.RETRY
    if code in _SQLITE_UNAVAILABLE:
        return Trouble.UNAVAILABLE
    # SQLite has one code for all that is wrong with a statement.
    if str(error).startswith(("no such table", "no such column")):
        return Trouble.SCHEMA_MISSING
    return Trouble.OTHER
