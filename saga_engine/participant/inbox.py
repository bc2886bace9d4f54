"""The inbox table: which commands this participant has answered for good, and which may never run any more.

Owns its rows, inside whatever transaction it is given. Knows no handler, no rule of the protocol and no transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Text, bindparam, delete, select, text

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.participant.answers import Answer
from saga_engine.participant.results import decode_result
from saga_engine.sql.schema import inbox as table

TOMBSTONE_CODE: Final = "tombstone"


class Recorded(StrEnum):
    """What is on record. `tombstone`: its compensation came first, so this command may never run."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    TOMBSTONE = "tombstone"


@dataclass(frozen=True, slots=True)
class Row:
    """One command on record. `result` is JSON text; `issued_at` is what the horizon is counted from."""

    key: str
    outcome: Recorded
    issued_at: int
    effect: Effect = Effect.UNDONE
    result: str | None = None
    code: str = ""
    message: str = ""

    def answer(self) -> Answer:
        """The stored reply. A tombstone answers the command that it forbids: refused, without effect."""
        if self.outcome is Recorded.TOMBSTONE:
            message = "its compensation came first, so this command may not run any more"
            return Answer(Outcome.REJECTED, code=TOMBSTONE_CODE, message=message)
        return Answer(
            outcome=Outcome(self.outcome.value),
            result=None if self.result is None else decode_result(self.result),
            code=self.code,
            message=self.message,
            effect=self.effect,
        )


_KEY: Final = bindparam("own", type_=Text)
_OTHER: Final = bindparam("other", type_=Text)
_ROWS: Final = select(
    table.c.key,
    table.c.outcome,
    table.c.issued_at,
    table.c.effect,
    table.c.result,
    table.c.code,
    table.c.message,
)
# Built once: the hot path of every command.
_READ_ONE: Final = _ROWS.where(table.c.key == _KEY)
_READ_TWO: Final = _ROWS.where(table.c.key.in_((_KEY, _OTHER)))
# As text, since SQLAlchemy compiles a statement with ON CONFLICT anew each time. The same for all dialects.
_ADD: Final = text(
    "INSERT INTO saga_inbox (key, outcome, effect, result, code, message, issued_at, recorded_at)"
    " VALUES (:key, :outcome, :effect, :result, :code, :message, :issued_at, :recorded_at)"
    " ON CONFLICT (key) DO NOTHING RETURNING key"
)


def read(connection: Connection, key: str, other: str | None = None) -> Mapping[str, Row]:
    """The row of a key, and of a second one; what has no row is absent."""
    if other is None:
        found = connection.execute(_READ_ONE, {"own": key})
    else:
        found = connection.execute(_READ_TWO, {"own": key, "other": other})
    return {
        key: Row(key, Recorded(outcome), issued_at, Effect(effect), result, code, message)
        for key, outcome, issued_at, effect, result, code, message in found
    }


def add(connection: Connection, row: Row, now: int) -> bool:
    """Put a row on record. False when its key has one already: the caller must roll back what it did.

    Waits for a transaction that is adding the same key, so the verdict is final: a primary key, no lock.
    """
    values = {
        "key": row.key,
        "outcome": row.outcome.value,
        "effect": row.effect.value,
        "result": row.result,
        "code": row.code,
        "message": row.message,
        "issued_at": row.issued_at,
        "recorded_at": now,
    }
    return connection.execute(_ADD, values).first() is not None


def take_back_rejection(connection: Connection, key: str) -> None:
    """Remove a stored rejection, for a command that must succeed by now."""
    connection.execute(delete(table).where(table.c.key == key, table.c.outcome == Recorded.REJECTED))
