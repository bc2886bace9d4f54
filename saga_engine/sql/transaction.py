"""Runs whole transactions: retried from their start when they lost, never in part, and COMMIT is never issued twice.

The only place that turns database errors into the engine's own. Knows no table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from saga_engine.errors import SchemaMissingError, StoreUnavailableError
from saga_engine.sql.direct import autocommitting
from saga_engine.sql.engine import describe
from saga_engine.sql.pacing import pacing_of
from saga_engine.sql.trouble import Trouble, classify

T = TypeVar("T")

RETRY_FOR_S: Final = 10.0
"""How long a transaction is retried before its caller is told, seconds."""

_FIRST_DELAY_S: Final = 0.005
_LONGEST_DELAY_S: Final = 1.0


class CommitUnknownError(StoreUnavailableError):
    """The connection broke, or the database lost track, during COMMIT: the transaction may or may not have happened."""


class ContendedError(StoreUnavailableError):
    """Every try was aborted by other transactions. Nothing was written."""


def run_transaction(
    engine: Engine,
    work: Callable[[Connection], T],
    *,
    isolation: str | None = None,
    alone: bool = False,
    repeatable: bool = False,
    tries: int | None = None,
    retry_for: float = RETRY_FOR_S,
) -> T:
    """Run `work` in one transaction and commit it; run it again, whole, when another transaction got in its way.

    `work` may run several times, each time in a new transaction after the last was rolled back. `isolation`: a level
    of SQLAlchemy, None for the engine's own. `alone`: `work` executes one statement on a server, which may commit
    itself: one exchange instead of three. `repeatable`: doing it twice does no harm, so that an unknown commit is
    simply tried again. `tries` and `retry_for` (seconds) bound the retries.

    Raises `ContendedError` when the bound is reached, `CommitUnknownError` for an unknown commit,
    `StoreUnavailableError` when the database does not serve, `SchemaMissingError` when tables are missing. Whatever
    else `work` raises passes through after the rollback.
    """
    return _retry(engine, lambda: _transaction(engine, work, isolation, alone), repeatable, tries, retry_for)


def run_query(engine: Engine, work: Callable[[Connection], T], *, retry_for: float = RETRY_FOR_S) -> T:
    """Run reads in autocommit: each statement sees what is committed when it starts. Raises as `run_transaction`."""

    def read() -> T:
        with engine.connect() as connection:
            try:
                return work(autocommitting(connection))
            except DBAPIError as error:
                _drop_stale_plan(connection, error)
                raise

    return _retry(engine, read, True, None, retry_for)


class _CommitError(Exception):
    """Marks where an error came from, between this module's own functions."""

    def __init__(self, error: DBAPIError) -> None:
        super().__init__(str(error))
        self.error = error


def _transaction(engine: Engine, work: Callable[[Connection], T], isolation: str | None, alone: bool) -> T:
    with engine.connect() as connection:
        if isolation is not None and isolation != _isolation_of(connection):
            connection = connection.execution_options(isolation_level=isolation)
        elif alone:
            return _committing_itself(connection, work)
        transaction = connection.begin()
        try:
            result = work(connection)
        except BaseException as error:
            _drop_stale_plan(connection, error)
            # Of the connection: `work` may have ended the transaction, and another one begun by itself.
            connection.rollback()
            raise
        try:
            transaction.commit()
        except DBAPIError as error:
            _abandon(connection, error)
            raise _CommitError(error) from error
        return result


def _committing_itself(connection: Connection, work: Callable[[Connection], T]) -> T:
    """Run one statement in autocommit. Where the connection broke meanwhile, it may be committed.

    What a server answers, and stays, is about a transaction that it has rolled back, unless it says otherwise (40003).
    """
    try:
        return work(autocommitting(connection))
    except DBAPIError as error:
        _drop_stale_plan(connection, error)
        if error.connection_invalidated:
            raise _CommitError(error) from error
        raise


def _isolation_of(connection: Connection) -> str | None:
    """The level that its transactions have by themselves: to switch to it and back takes a tenth of a transaction."""
    level: str | None = connection.get_execution_options().get("isolation_level", connection.default_isolation_level)
    return level


def _abandon(connection: Connection, error: DBAPIError) -> None:
    """Leave no transaction open after a failed COMMIT: SQLAlchemy would pool the connection as it is."""
    if classify(error, at_commit=True) is not Trouble.RETRY:
        connection.invalidate()
        return
    try:
        connection.connection.rollback()
    except connection.dialect.loaded_dbapi.Error:
        connection.invalidate()


def _drop_stale_plan(connection: Connection, error: BaseException) -> None:
    if classify(error) is Trouble.STALE_PLAN:
        connection.invalidate()


def _retry(engine: Engine, run: Callable[[], T], repeatable: bool, tries: int | None, retry_for: float) -> T:
    pacing = pacing_of(engine)
    give_up_at = pacing.monotonic() + retry_for
    tried, renewed = 0, False
    while True:
        try:
            return run()
        except (DBAPIError, PoolTimeoutError) as error:
            cause: DBAPIError | PoolTimeoutError = error
            trouble = classify(error)
        except _CommitError as error:
            cause = error.error
            trouble = classify(cause, at_commit=True)
        tried += 1
        if _on_new_connection(cause, trouble) and not renewed:
            # SQLAlchemy has dropped the broken connections of its pool: the next try has a new one.
            renewed = True
            continue
        if trouble is not Trouble.RETRY and not (repeatable and trouble is Trouble.UNKNOWN_COMMIT):
            raise translated(engine, cause, trouble) from cause
        if pacing.monotonic() >= give_up_at or (tries is not None and tried >= tries):
            raise translated(engine, cause, trouble) from cause
        # In a thread of its own: the store is synchronous on purpose.
        pacing.pause(longest_pause(tried))


def longest_pause(tried: int) -> float:
    """For how long to wait at most after so many tries, seconds."""
    longest: float = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2**tried)
    return longest


def _on_new_connection(error: DBAPIError | PoolTimeoutError, trouble: Trouble) -> bool:
    """Whether a pooled connection was at fault, before its commit."""
    if trouble is Trouble.STALE_PLAN:
        return True
    return trouble is Trouble.UNAVAILABLE and isinstance(error, DBAPIError) and error.connection_invalidated


def translated(engine: Engine, error: DBAPIError | PoolTimeoutError, trouble: Trouble | None = None) -> Exception:
    """The engine's own exception for a database error, or the error itself when the statement was at fault."""
    where = describe(engine.url)
    origin = error.orig if isinstance(error, DBAPIError) else error
    what = (str(origin).strip() or type(origin).__name__).splitlines()[0]
    match classify(error) if trouble is None else trouble:
        case Trouble.RETRY:
            return ContendedError(f"{where}: other transactions got in the way again and again ({what}); try again")
        case Trouble.UNKNOWN_COMMIT:
            return CommitUnknownError(f"{where}: it is unknown whether the commit happened ({what})")
        case Trouble.UNAVAILABLE:
            return StoreUnavailableError(f"{where}: the database does not serve: {what}")
        case Trouble.SCHEMA_MISSING:
            return SchemaMissingError(f"{where}: {what}; make or update the tables with: saga db upgrade")
        case Trouble.STALE_PLAN | Trouble.OTHER:
            return error
