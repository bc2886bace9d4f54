"""A transaction that several commands share: what each did stays or is taken back by itself, and writes go together.

Owns the writes that are still to be made, and whose they are. Knows no handler, no inbox and no rule of the fence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError

from saga_engine.sql.savepoint import Savepoints, SpoiledError

_Write: TypeAlias = tuple[Executable, Mapping[str, object] | None]


class SharedTransaction:
    """The pieces of work of one transaction, one after the other: each is kept or taken back before the next begins.

    A write that was put off is made when a command asks for the transaction, or in `finish`, always in the order in
    which all were asked for; those in a row of one statement go to the database at once. Of a command that has asked
    for the transaction none is put off: it may have kept the connection, or have begun a nested transaction on it.
    """

    def __init__(self, connection: Connection, *, hopeful: bool) -> None:
        self._connection = connection
        self._savepoints = Savepoints(connection, hopeful=hopeful)
        self._kept: list[_Write] = []
        self._own: list[_Write] = []
        self._taken = False
        self._refused = False
        self._spoiled = False

    @property
    def used(self) -> bool:
        """Whether the database had to take a piece of work back."""
        return self._savepoints.used

    def take(self) -> None:
        """The command at hand is about to use the database: what was put off is made first.

        Raises what the database says of it. Where that was a neighbour's, the transaction is spoiled.
        """
        if self._kept:
            try:
                self._make(self._kept)
            except BaseException:
                self._spoiled = True
                raise
            self._savepoints.pass_over()
        self._savepoints.take()
        self._taken = True
        if self._own:
            try:
                self._make(self._own)
            except BaseException:
                self._refused = True
                raise

    def write(self, statement: Executable, values: Mapping[str, object] | None) -> None:
        """Put a write of the command at hand off, or make it. Raises what the database says of one that it makes."""
        if self._taken:
            self._connection.execute(statement, values)
        else:
            self._own.append((statement, None if values is None else {**values}))

    def keep(self) -> bool:
        """What the command did stays.

        False when it is to be taken `back`: it left the transaction unusable, or went on after a write was refused that
        it had put off, with which those behind it were lost.

        Raises SpoiledError when the whole transaction is over.
        """
        self._refuse_spoiled()
        if self._refused or not self._savepoints.keep():
            return False
        self._kept += self._own
        self._own.clear()
        self._taken = False
        return True

    def back(self) -> None:
        """Nothing stays of what the command did. Raises as `keep`, and MissedError."""
        self._refuse_spoiled()
        self._own.clear()
        self._taken = self._refused = False
        self._savepoints.back()

    def finish(self) -> None:
        """Make what is still to be made. Raises what the database says of it, and SpoiledError."""
        try:
            self._make(self._kept)
        except DBAPIError:
            raise
        except Exception as error:
            # A value that cannot be sent, whatever says so: by itself its command is told.
            raise SpoiledError from error

    def _refuse_spoiled(self) -> None:
        if self._spoiled:
            raise SpoiledError

    def _make(self, writes: list[_Write]) -> None:
        making = [*writes]
        writes.clear()
        for _, alike in groupby(making, key=_form):
            _execute(self._connection, [*alike])


def _form(write: _Write) -> tuple[int, tuple[str, ...]]:
    """What writes must have in common to be made at once: SQLAlchemy goes by the names that the first of them has."""
    statement, values = write
    return id(statement), tuple(values or ())


def _execute(connection: Connection, writes: Sequence[_Write]) -> None:
    """Make writes of one form."""
    statement = writes[0][0]
    rows = [values for _, values in writes if values]
    if rows:
        # For one alone the driver's way for many is the longer one.
        connection.execute(statement, rows if len(rows) > 1 else rows[0])
        return
    for _ in writes:
        connection.execute(statement)
