"""Makes a database on a server that has none of that name, where the login may. Knows no table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from saga_engine.sql.engine import AUTOCOMMIT, open_engine
from saga_engine.sql.patience import STORE
from saga_engine.sql.transaction import translated

_EVERYWHERE: Final = "postgres"
"""A database that every server has from the start, CockroachDB's too: one has to be in one to make another."""

# A refusal to connect has no SQLSTATE here: libpq gives only its text.
_ABSENT: Final = re.compile(r"database .* does not exist")
_HERE: Final = "SELECT count(*) FROM pg_catalog.pg_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class There:
    """The database was there before."""


@dataclass(frozen=True, slots=True)
class Made:
    """It was made now, and belongs to the login of the url."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not there, and this login could not make it: the server's `reason`, and what an administrator is to run."""

    reason: str
    statements: Sequence[str]


Outcome: TypeAlias = There | Made | Refused


def ensure_database(url: str) -> Outcome:
    """See to it that the database of a `postgresql:` or `cockroachdb:` url is there.

    Raises:
        StoreUnavailableError: the server cannot be reached, or refuses the login.
        UsageError: the url cannot be used.
    """
    engine = open_engine(url, STORE)
    try:
        if _is_there(engine):
            return There()
        refused = _make(engine)
        if refused is None:
            return Made()
        # Somebody else may have been quicker.
        return There() if _is_there(engine) else refused
    finally:
        engine.dispose()


def _is_there(engine: Engine) -> bool:
    try:
        with engine.connect() as connection:
            return bool(_autocommit(connection).exec_driver_sql(_HERE).scalar_one())
    except DBAPIError as error:
        if _ABSENT.search(str(error.orig)):
            return False
        raise translated(engine, error) from error


def _make(engine: Engine) -> Refused | None:
    """Make it; None when it was."""
    quote = engine.dialect.identifier_preparer.quote
    name, owner = quote(str(engine.url.database)), engine.url.username
    create = f"CREATE DATABASE {name}"
    elsewhere = open_engine(engine.url.set(database=_EVERYWHERE).render_as_string(hide_password=False), STORE)
    try:
        with elsewhere.connect() as connection:
            _autocommit(connection).exec_driver_sql(create)
    except DBAPIError as error:
        reason = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
        gives = [f"ALTER DATABASE {name} OWNER TO {quote(owner)}"] if owner else []
        return Refused(reason, [create, *gives])
    finally:
        elsewhere.dispose()
    return None


def _autocommit(connection: Connection) -> Connection:
    return connection.execution_options(isolation_level=AUTOCOMMIT)
