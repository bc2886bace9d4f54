"""Opens a database by its url, set up as the engine needs it: driver, durability, time limits, no secrets in errors.

Knows the three dialects' switches. Knows no table.
"""

from __future__ import annotations

import random
import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from saga_engine.errors import UsageError
from saga_engine.extras import Extra, install_extra
from saga_engine.private import make_private_folder
from saga_engine.sql import direct
from saga_engine.sql.files import make_file
from saga_engine.sql.patience import STORE, Patience

AUTOCOMMIT: Final = "AUTOCOMMIT"

_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "cockroachdb": "cockroachdb+psycopg",
    "cockroachdb+psycopg": "cockroachdb+psycopg",
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
}
_BUSY_TIMEOUT_MS: Final = 5_000
_POOL_TIMEOUT_S: Final = 10.0
# Client-side only, so that a pooler in between has nothing to refuse: a dead peer is noticed within about ten seconds.
_LIBPQ: Final = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "saga-engine",
}


def open_engine(url: str, patience: Patience = STORE) -> Engine:
    """An engine for a `sqlite:`, `postgresql:` or `cockroachdb:` url (the psycopg driver is filled in).

    Connects lazily. For a SQLite file its folder is made. `patience`: with a server. Raises `UsageError` for a url that
    cannot be used.
    """
    parsed = _parse(url)
    if parsed.drivername == "sqlite":
        return _open_sqlite(parsed)
    arguments = {name: value for name, value in _LIBPQ.items() if name not in parsed.query}
    try:
        engine = create_engine(
            parsed,
            connect_args=arguments,
            pool_size=8,
            pool_timeout=_POOL_TIMEOUT_S,
            # The session that was used last has all at hand, here and over there.
            pool_use_lifo=True,
            hide_parameters=True,
        )
    except (NoSuchModuleError, ImportError) as error:
        raise UsageError(
            f"{describe(parsed)}: no driver for CockroachDB is installed; install it with: "
            f"{install_extra(Extra.COCKROACHDB)}"
        ) from error
    # Imported late: who works on a SQLite file never needs the driver.
    from saga_engine.sql.bounded import connecting

    connect = connecting(patience)
    event.listen(engine, "do_connect", lambda _dialect, _entry, given, named: connect(*given, **named))
    event.listen(engine, "begin", _begin_by_driver)
    return engine


def describe(url: URL) -> str:
    """A database's url for messages: without the password and without options, which may hold secrets too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The text itself is not repeated: it may hold a password.
        raise UsageError(
            "the database url cannot be read; expected for example sqlite:///.saga/engine.db or "
            "postgresql://user@host:5432/name"
        ) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise UsageError(
            f"{describe(parsed)}: databases of the kind {parsed.drivername!r} are not supported; "
            "expected sqlite, postgresql or cockroachdb"
        )
    return parsed.set(drivername=driver)


def _open_sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        # One connection for all: for a simulation, which calls from one thread only.
        engine = create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        )
    else:
        _make_folder(url)
        engine = create_engine(url, pool_size=8, pool_timeout=_POOL_TIMEOUT_S, hide_parameters=True)
        if "uri" not in url.query:
            event.listen(engine, "do_connect", lambda _dialect, _entry, given, _named: make_file(*given))
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", begin_immediate)
    return engine


def _make_folder(url: URL) -> None:
    folder = Path(url.database or "").parent
    try:
        make_private_folder(folder)
    except OSError as error:
        raise UsageError(f"{describe(url)}: its folder cannot be made: {error.strerror or error}") from error


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError(f"expected a connection of the sqlite3 module, got {type(connection).__name__}")
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file to write-ahead logging. SQLite does not wait for others there, whatever the busy timeout."""
    give_up_at = time.monotonic() + _BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            # Does nothing where it is set already. A database in memory stays as it is.
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
            time.sleep(random.uniform(0.001, 0.02))


def begin_immediate(connection: Connection) -> None:
    """Take the write lock at once: a transaction that turns from reading to writing could only fail."""
    if not _autocommits(connection):
        direct.begin(connection, "BEGIN IMMEDIATE")


def _begin_by_driver(connection: Connection) -> None:
    """Take back what `direct.autocommitting` may have left: only here it is known that a transaction is wanted."""
    if not _autocommits(connection):
        direct.let_driver_begin(connection, True)


def _autocommits(connection: Connection) -> bool:
    switched = connection.get_execution_options().get("isolation_level") == AUTOCOMMIT
    return switched or direct.is_autocommitting(connection)
