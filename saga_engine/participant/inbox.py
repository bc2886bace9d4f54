"""The inbox table: which commands this participant has answered for good, and which may never run any more.

Owns its rows, inside whatever transaction it is given. Knows no handler, no rule of the protocol and no transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

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


def read(connection: Connection, keys: Iterable[str]) -> Mapping[str, Row]:
    """The rows of these keys; keys without one are absent."""
    of = table.c
    columns = select(of.key, of.outcome, of.issued_at, of.effect, of.result, of.code, of.message)
    found = connection.execute(columns.where(of.key.in_(list(keys))))
    return {
        key: Row(key, Recorded(outcome), issued_at, Effect(effect), result, code, message)
        for key, outcome, issued_at, effect, result, code, message in found
    }


def add(connection: Connection, rows: Sequence[Row], now: int) -> bool:
    """Put rows on record. False when one of the keys has a row already: the caller must roll back what it did.

    Waits for a transaction that is adding the same key, so the verdict is final: a primary key, no lock.
    """
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = [
        {
            "key": row.key,
            "outcome": row.outcome.value,
            "effect": row.effect.value,
            "result": row.result,
            "code": row.code,
            "message": row.message,
            "issued_at": row.issued_at,
            "recorded_at": now,
        }
        for row in rows
    ]
    statement = insert(table).values(values).on_conflict_do_nothing(index_elements=["key"])
    return len(connection.execute(statement.returning(table.c.key)).all()) == len(rows)


def take_back_rejection(connection: Connection, key: str) -> None:
    """Remove a stored rejection, for a command that must succeed by now."""
    connection.execute(delete(table).where(table.c.key == key, table.c.outcome == Recorded.REJECTED))
