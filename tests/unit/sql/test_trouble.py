"""What database errors mean: a table of codes."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from saga_engine.errors import StoreUnavailableError
from saga_engine.sql.trouble import Trouble, classify, is_infrastructure


def postgres(state: str) -> DBAPIError:
    error = psycopg.errors.lookup(state)("injected")
    return DBAPIError("SELECT 1", None, error)


def sqlite(code: int, message: str = "injected") -> DBAPIError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return DBAPIError("SELECT 1", None, error)


CASES = [
    (postgres("40001"), Trouble.RETRY, True),
    (postgres("40P01"), Trouble.RETRY, True),
    (postgres("40003"), Trouble.UNKNOWN_COMMIT, True),
    (postgres("0A000"), Trouble.STALE_PLAN, False),
    (postgres("08006"), Trouble.UNAVAILABLE, True),
    (postgres("53100"), Trouble.UNAVAILABLE, True),
    (postgres("53300"), Trouble.UNAVAILABLE, True),
    (postgres("57014"), Trouble.UNAVAILABLE, True),
    (postgres("57P01"), Trouble.UNAVAILABLE, True),
    (postgres("25006"), Trouble.UNAVAILABLE, True),
    (postgres("42P01"), Trouble.SCHEMA_MISSING, False),
    (postgres("42703"), Trouble.SCHEMA_MISSING, False),
    (postgres("23505"), Trouble.OTHER, False),
    (postgres("22001"), Trouble.OTHER, False),
    (postgres("42501"), Trouble.OTHER, False),
    (DBAPIError("SELECT 1", None, psycopg.OperationalError("connection refused")), Trouble.UNAVAILABLE, True),
    (DBAPIError("SELECT 1", None, psycopg.InterfaceError("the connection is closed")), Trouble.UNAVAILABLE, True),
    (DBAPIError("SELECT 1", None, psycopg.DataError("cannot dump")), Trouble.OTHER, False),
    (psycopg.OperationalError("the connection is lost"), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_BUSY), Trouble.RETRY, True),
    (sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT), Trouble.RETRY, True),
    (sqlite(sqlite3.SQLITE_LOCKED), Trouble.RETRY, True),
    (sqlite(sqlite3.SQLITE_FULL), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_IOERR_WRITE), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_READONLY_DBMOVED), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_CANTOPEN), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_NOTADB), Trouble.UNAVAILABLE, True),
    (sqlite(sqlite3.SQLITE_ERROR, "no such table: saga_streams"), Trouble.SCHEMA_MISSING, False),
    (sqlite(sqlite3.SQLITE_ERROR, "near SELEC: syntax error"), Trouble.OTHER, False),
    (sqlite(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY), Trouble.OTHER, False),
    (sqlite3.ProgrammingError("raised by the module, without a code"), Trouble.OTHER, False),
    (PoolTimeoutError("QueuePool limit"), Trouble.UNAVAILABLE, True),
    (ValueError("mine"), Trouble.OTHER, False),
]


@pytest.mark.parametrize(("error", "trouble", "infrastructure"), CASES, ids=[repr(case[0])[:60] for case in CASES])
def test_errors_are_told_apart_by_their_code(error: BaseException, trouble: Trouble, infrastructure: bool) -> None:
    assert classify(error) is trouble
    assert is_infrastructure(error) is infrastructure


@pytest.mark.parametrize(("error", "trouble", "_"), CASES, ids=[repr(case[0])[:60] for case in CASES])
def test_what_is_unavailable_at_commit_is_an_unknown_commit(error: BaseException, trouble: Trouble, _: bool) -> None:
    expected = Trouble.UNKNOWN_COMMIT if trouble is Trouble.UNAVAILABLE else trouble
    assert classify(error, at_commit=True) is expected


def test_the_engines_own_exception_is_infrastructure() -> None:
    assert is_infrastructure(StoreUnavailableError("down"))
