"""The inbox as one transaction sees it: what was on record when it began, and what it will put there at its end.

Owns that all its rows are written together, after the effects. Knows no handler and no rule of the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from saga_engine.core.events import Direction
from saga_engine.envelope import Command
from saga_engine.participant import inbox
from saga_engine.participant.inbox import Recorded, Row


class LostRaceError(Exception):
    """Another transaction put one of our keys on record first: roll back and look again."""


class Ledger:
    """The rows that these commands have to do with, read at once."""

    def __init__(self, connection: Connection, commands: Iterable[Command]) -> None:
        keys = [key for command in commands for key in _keys(command)]
        self._connection = connection
        self._rows = dict(inbox.read(connection, keys))
        self._added: dict[str, Row] = {}
        self._taken_back: list[str] = []

    def get(self, key: str) -> Row | None:
        """The row of a key, as it stands at this point of the transaction."""
        return self._rows.get(key)

    def add(self, rows: Iterable[Row]) -> None:
        """Rows to be put on record; one that stands there already is a rejection, which is taken back."""
        for row in rows:
            stood = self._rows.get(row.key)
            if stood is not None and row.key not in self._added:
                assert stood.outcome is Recorded.REJECTED, "only a rejection is ever replaced"
                self._taken_back.append(row.key)
            self._rows[row.key] = self._added[row.key] = row

    def write(self, now: int) -> None:
        """Put everything on record. Raises LostRaceError when somebody else has done so for one of the keys."""
        if self._taken_back:
            inbox.take_back_rejections(self._connection, self._taken_back)
        if self._added and not inbox.add(self._connection, list(self._added.values()), now):
            raise LostRaceError


def _keys(command: Command) -> tuple[str, ...]:
    if command.address.direction is Direction.FORWARD:
        return (command.key,)
    return command.key, command.address.undoes
