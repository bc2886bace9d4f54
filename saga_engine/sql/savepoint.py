"""One savepoint after the other in a transaction that several pieces of work share, by the driver itself.

SQLAlchemy's nested transactions cost ten times as much: two statements each, compiled and logged. Knows no table.
"""

from __future__ import annotations

import sqlite3
from enum import Enum, auto
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection

_SAVE: Final = "SAVEPOINT saga_piece"
_RELEASE: Final = "RELEASE SAVEPOINT saga_piece"
_BACK: Final = "ROLLBACK TO SAVEPOINT saga_piece"


class SpoiledError(Exception):
    """A piece of work has ended the transaction that it shares: what the others did is gone as well."""


class MissedError(Exception):
    """A piece of work is to be taken back, and there is no savepoint: all are to be done again, with savepoints."""


class _State(Enum):
    NONE = auto()
    CLEAN = auto()
    """A savepoint stands, and nothing was done since."""
    IN_USE = auto()
    KEPT = auto()
    """A savepoint stands before what was done and is to stay."""


class Savepoints:
    """The savepoints of one transaction. A piece of work that never calls `take` costs nothing.

    `hopeful`: none is really made, since most transactions need none to go back to, and each would be a round trip.
    """

    def __init__(self, connection: Connection, *, hopeful: bool = False) -> None:
        self.used = False
        """Whether a piece of work was taken back."""
        self._connection = connection
        self._hopeful = hopeful
        self._transaction = connection.get_transaction()
        self._state = _State.NONE

    def take(self) -> None:
        """The piece of work at hand is about to use the database; may be called again and again."""
        match self._state:
            case _State.NONE if not self._hopeful:
                _execute(self._connection, _SAVE)
            case _State.KEPT if not self._hopeful:
                _execute(self._connection, _RELEASE, _SAVE)
            case _:
                pass
        self._state = _State.IN_USE

    def pass_over(self) -> None:
        """Something was done, between two pieces of work, that is to stay whatever becomes of the next."""
        if self._state is _State.CLEAN:
            self._state = _State.KEPT

    def keep(self) -> bool:
        """What the piece of work did stays. False when it left the transaction unusable: then it is to be taken `back`.

        Raises SpoiledError when it ended the whole transaction.
        """
        if self._state is not _State.IN_USE:
            return True
        if not self._usable():
            return False
        while (nested := self._connection.get_nested_transaction()) is not None:
            nested.commit()
        self._state = _State.KEPT
        return True

    def back(self) -> None:
        """Nothing stays of what the piece of work did. Raises as `keep`, and MissedError."""
        if self._state is not _State.IN_USE:
            return
        if self._hopeful:
            raise MissedError
        self._usable()
        while (nested := self._connection.get_nested_transaction()) is not None:
            nested.close()
        _execute(self._connection, _BACK)
        self._state = _State.CLEAN
        self.used = True

    def _usable(self) -> bool:
        """Whether the transaction takes further statements, as the driver knows without asking the server."""
        if self._connection.get_transaction() is not self._transaction:
            raise SpoiledError
        driver = self._connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            if not driver.in_transaction:
                raise SpoiledError
            return True
        return _status(driver)


def _status(driver: DBAPIConnection | None) -> bool:
    import psycopg  # late: who works on a SQLite file never needs the driver
    from psycopg.pq import TransactionStatus

    assert isinstance(driver, psycopg.Connection)
    status = driver.info.transaction_status
    if status is TransactionStatus.IDLE:
        raise SpoiledError
    return status is TransactionStatus.INTRANS


def _execute(connection: Connection, *statements: str) -> None:
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        for statement in statements:
            connection.exec_driver_sql(statement)
        return
    # Without parameters several statements are one round trip, which psycopg's cursors and SQLAlchemy make four times
    # as expensive. Where it fails it is repeated by them, who raise the error in the form that everybody expects.
    together = "; ".join(statements)
    if not _exchanged(driver, together.encode()):
        connection.exec_driver_sql(together)


def _exchanged(driver: DBAPIConnection | None, statements: bytes) -> bool:
    """Whether the server has done these, which it is waited for like for all others: see `bounded`."""
    import psycopg
    from psycopg.generators import execute
    from psycopg.pq import ExecStatus

    assert isinstance(driver, psycopg.Connection)
    try:
        driver.pgconn.send_query(statements)
        results = driver.wait(execute(driver.pgconn))
    except psycopg.Error:
        return False
    return all(result.status == ExecStatus.COMMAND_OK for result in results)
