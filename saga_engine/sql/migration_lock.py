"""Keeps two processes from migrating one database at the same time.

A file lock beside a SQLite file; elsewhere a row that is held by an open transaction, so that the database itself lets
go of it when the holder dies. No advisory locks: CockroachDB accepts them and locks nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from filelock import FileLock, Timeout
from sqlalchemy import BigInteger, Column, Connection, Engine, MetaData, Table, Text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from saga_engine.errors import StoreUnavailableError
from saga_engine.private import FILE_MODE
from saga_engine.sql.engine import AUTOCOMMIT, describe
from saga_engine.sql.trouble import Trouble, classify

WAIT_S: Final = 120
"""How long to wait for another process that migrates, seconds."""

_NAME: Final = "migrations"
_PAUSE_S: Final = 0.01
_LOCK_TIMEOUT: Final = "55P03"
# PostgreSQL's CREATE TABLE IF NOT EXISTS fails with one of these when another process creates it at the same moment.
_RACED: Final = frozenset({"23505", "42P07", "42710", "XX000"})
_locks: Final = Table(
    "saga_migration_lock",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("taken_at", BigInteger, nullable=False),
)


@contextmanager
def migration_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock of a database. Raises `StoreUnavailableError` when another process keeps it for `WAIT_S`."""
    if engine.dialect.name != "sqlite":
        with _row_lock(engine):
            yield
        return
    file = engine.url.database
    in_memory = file in (None, "", ":memory:")
    try:
        with nullcontext() if in_memory else FileLock(f"{file}.migration-lock", timeout=WAIT_S, mode=FILE_MODE):
            yield
    except Timeout as error:
        raise _busy(engine) from error


@contextmanager
def _row_lock(engine: Engine) -> Iterator[None]:
    _make_row(engine)
    with engine.connect() as connection, connection.begin():
        _take_row(engine, connection)
        yield


def _take_row(engine: Engine, connection: Connection) -> None:
    """Wait for the row; whoever updated it keeps it until the end of the transaction."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_S}s'")
    taken_at = time.time_ns() // 1_000
    try:
        connection.execute(update(_locks).where(_locks.c.name == _NAME).values(taken_at=taken_at))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_TIMEOUT:
            raise _busy(engine) from error
        raise


def _make_row(engine: Engine) -> None:
    give_up_at = time.monotonic() + WAIT_S
    while True:
        try:
            with engine.connect() as connection:
                connection = connection.execution_options(isolation_level=AUTOCOMMIT)
                connection.execute(CreateTable(_locks, if_not_exists=True))
                row = insert(_locks).values(name=_NAME, taken_at=0)
                connection.execute(row.on_conflict_do_nothing(index_elements=["name"]))
            return
        except DBAPIError as error:
            raced = getattr(error.orig, "sqlstate", None) in _RACED or classify(error) is Trouble.RETRY
            if not raced or time.monotonic() >= give_up_at:
                raise
            time.sleep(_PAUSE_S)


def _busy(engine: Engine) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"{describe(engine.url)}: another process has been migrating it for {WAIT_S} s; try again when it has ended"
    )
