"""A database of the simulated world: a real SQLite in memory, reached by each process over a connection that can fail.

Owns the write lock, what a broken connection leaves behind, and the order of commits. Knows no table.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import URL, Dialect, Engine, QueuePool, event, make_url
from sqlalchemy.util import await_only

from saga_engine.sql.engine import begin_immediate, open_engine
from saga_engine.sql.pacing import pace
from tests.simulation.faults import Point, Strike
from tests.simulation.processes import Process

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import CompiledCacheType

_URL: Final = "sqlite:///:memory:"
_BUSY_TIMEOUT_S: Final = 5.0
"""As the engine sets it for a file."""

_CODES: Final = {
    Strike.BUSY: sqlite3.SQLITE_BUSY,
    Strike.UNREACHABLE: sqlite3.SQLITE_CANTOPEN,
    Strike.FULL: sqlite3.SQLITE_FULL,
    Strike.READ_ONLY: sqlite3.SQLITE_READONLY,
    Strike.UNKNOWN_APPLIED: sqlite3.SQLITE_IOERR,
    Strike.UNKNOWN_NOT_APPLIED: sqlite3.SQLITE_IOERR,
}
_WRITING: Final = ("INSERT", "UPDATE", "DELETE")


class Database:
    """`image`: a serialized database to begin with. `tick` counts everything that happens: SQL calls it as `tick()`.

    `trouble`: what keeps everybody from working with it now, until it is over.
    """

    def __init__(self, name: str, image: bytes, tick: Callable[[], int]) -> None:
        self.name = name
        self.trouble: Strike | None = None
        self.connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=256)
        self.connection.deserialize(image)
        self.connection.create_function("tick", 0, tick)
        self._writer: Session | None = None
        self._waiting: list[asyncio.Future[None]] = []

    def open(self, process: Process) -> Engine:
        """An engine for this process, set up as the engine's own, whose retries pass virtual time."""
        dialect, statements = _dialect()
        sessions: list[Session] = []

        def connect() -> Session:
            process.check()
            sessions.append(Session(self, process))
            return sessions[-1]

        pool = QueuePool(connect, max_overflow=-1, dialect=dialect)  # type: ignore[arg-type]  # a stand-in for a DBAPI connection
        engine = Engine(pool, dialect, _url(), hide_parameters=True)
        engine.update_execution_options(compiled_cache=statements)
        event.listen(engine, "begin", begin_immediate)
        pace(engine, _VirtualPacing(process))
        process.on_death.append(lambda: _close(sessions))
        return engine

    def close(self) -> None:
        self.connection.close()

    def lock(self, session: Session) -> bool:
        """Take the write lock, waiting for it as long as SQLite does."""
        if self._writer is not None and self._writer is not session:
            self._wait()
        if self._writer is not None and self._writer is not session:
            return False
        self._writer = session
        return True

    def holds(self, session: Session) -> bool:
        return self._writer is session

    def release(self) -> None:
        self._writer = None
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            _tell(each)

    def _wait(self) -> None:
        released = asyncio.get_running_loop().create_future()
        self._waiting.append(released)
        await_only(_within(released, _BUSY_TIMEOUT_S))


def _close(sessions: Sequence[Session]) -> None:
    for session in sessions:
        session.close()


class Session:
    """What SQLAlchemy takes for a connection of the sqlite3 module: one process's, to one database."""

    def __init__(self, database: Database, process: Process) -> None:
        self.database = database
        self.process = process
        # Set by SQLAlchemy; the connection behind begins its transactions only when it is told to.
        self.isolation_level: str | None = None

    def cursor(self) -> Cursor:
        cursor = self.database.connection.cursor(Cursor)
        cursor.session = self
        return cursor

    def commit(self) -> None:
        if not self.database.holds(self):
            return
        process = self.process
        strike = process.cross(Point.COMMIT)
        if strike is Strike.UNKNOWN_NOT_APPLIED:
            self.rollback()
        if strike in _CODES and strike is not Strike.UNKNOWN_APPLIED:
            raise failure(strike)
        self.database.connection.commit()
        self.database.release()
        if strike is Strike.UNKNOWN_APPLIED:
            raise failure(strike)
        if strike is Strike.KILL_AFTER:
            raise process.die()

    def rollback(self) -> None:
        if self.database.holds(self):
            self.database.connection.rollback()
            self.database.release()

    def close(self) -> None:
        """A connection that ends takes its transaction with it."""
        self.rollback()

    def leave(self, statement: str) -> Strike | None:
        """A statement is about to be sent; raises what keeps it from being executed."""
        first = statement[:6]
        database, process = self.database, self.process
        point = Point.WRITE if first in _WRITING else Point.BEGIN if first.startswith("BEGIN") else Point.READ
        strike = process.cross(point, lingers=not database.holds(self))
        if strike is None or strike is Strike.KILL_AFTER:
            trouble = database.trouble
            if trouble is Strike.UNREACHABLE or (trouble is not None and point is Point.WRITE):
                raise failure(trouble)
        elif strike in _CODES:
            raise failure(strike)
        if point is Point.BEGIN and not database.lock(self):
            raise failure(Strike.BUSY)
        return strike


class Cursor(sqlite3.Cursor):
    """A cursor whose statements cross to the database first."""

    session: Session

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> Cursor:  # type: ignore[override]  # narrower
        if statement.startswith("PRAGMA"):
            # SQLAlchemy's settings of an isolation that one connection for all does not have.
            return self
        strike = self.session.leave(statement)
        super().execute(statement, parameters)
        self._after(strike)
        return self

    def executemany(self, statement: str, parameters: Sequence[Sequence[object]]) -> Cursor:  # type: ignore[override]
        strike = self.session.leave(statement)
        super().executemany(statement, parameters)
        self._after(strike)
        return self

    def _after(self, strike: Strike | None) -> None:
        if strike is Strike.KILL_AFTER:
            raise self.session.process.die()


class _VirtualPacing:
    """`sql.pacing.Pacing` in virtual time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def pause(self, longest: float) -> None:
        # Half of it, always: who collides with whom is decided by the latencies.
        self._process.block(longest / 2)


def failure(strike: Strike) -> sqlite3.OperationalError:
    """The error by which SQLite tells such trouble."""
    error = sqlite3.OperationalError(f"injected: {strike}")
    error.sqlite_errorcode = _CODES[strike]
    return error


async def _within(released: asyncio.Future[None], seconds: float) -> None:
    """As `asyncio.timeout` would, but in whatever task this is awaited: a blocking call may begin in one and end in
    another.
    """
    too_late = asyncio.get_running_loop().call_later(seconds, _tell, released)
    try:
        await released
    finally:
        too_late.cancel()


def _tell(released: asyncio.Future[None]) -> None:
    if not released.done():
        released.set_result(None)


@cache
def _url() -> URL:
    return make_url(_URL)


@cache
def _dialect() -> tuple[Dialect, CompiledCacheType]:
    """One dialect for all simulated databases, with the statements compiled for it: both are costly to make."""
    engine = open_engine(_URL)
    engine.connect().close()
    statements: CompiledCacheType = {}
    return engine.dialect, statements
