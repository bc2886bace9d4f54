"""The inbox table: which commands this participant has answered for good, and which may never run any more.

Owns its rows, inside whatever transaction it is given. Knows no handler, no rule of the protocol and no transport.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson
from sqlalchemy import Connection, Text, bindparam, delete, select, text

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.participant.answers import Answer
from saga_engine.participant.results import decode_result
from saga_engine.sql.direct import Statement
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
_READ_ONE: Final = Statement(_ROWS.where(table.c.key == bindparam("own", type_=Text)))
_READ_MANY: Final = Statement(_ROWS.where(table.c.key.in_(bindparam("keys", type_=Text, expanding=True))))
# As text, since SQLAlchemy has ON CONFLICT per dialect only. The same for all dialects.
_ADD: Final = Statement(
    text(
        "INSERT INTO saga_inbox (key, outcome, effect, result, code, message, issued_at, recorded_at)"
        " VALUES (:key, :outcome, :effect, :result, :code, :message, :issued_at, :recorded_at)"
        " ON CONFLICT (key) DO NOTHING"
    )
)
# One statement for many rows where each statement is a round trip: they travel as one parameter.
_ADD_MANY: Final = Statement(
    text(
        "INSERT INTO saga_inbox (key, outcome, effect, result, code, message, issued_at, recorded_at)"
        " SELECT key, outcome, effect, result, code, message, issued_at, recorded_at"
        " FROM json_to_recordset(CAST(:rows AS json)) AS added"
        " (key text, outcome text, effect text, result text, code text, message text,"
        " issued_at bigint, recorded_at bigint)"
        " ON CONFLICT (key) DO NOTHING"
    )
)
_TAKE_BACK: Final = Statement(
    delete(table).where(
        table.c.key.in_(bindparam("keys", type_=Text, expanding=True)), table.c.outcome == Recorded.REJECTED
    )
)


def read(connection: Connection, keys: Sequence[str]) -> Mapping[str, Row]:
    """The rows of these keys; what has no row is absent."""
    if len(keys) == 1:
        found = _READ_ONE.fetch(connection, {"own": keys[0]})
    else:
        found = _READ_MANY.fetch(connection, {"keys": keys})
    return {
        key: Row(key, Recorded(outcome), issued_at, Effect(effect), result, code, message)
        for key, outcome, issued_at, effect, result, code, message in found
    }


def add(connection: Connection, rows: Sequence[Row], now: int) -> bool:
    """Put rows on record. False when a key has a row already: the caller must roll back all that it did.

    Waits for a transaction that is adding the same key, so the verdict is final: a primary key, no lock. Two that share
    keys take them in the same order.
    """
    values = [_values(row, now) for row in sorted(rows, key=lambda row: row.key)]
    if len(values) == 1 or connection.dialect.name == "sqlite":
        added = _ADD.execute_many(connection, values)
    else:
        added = _ADD_MANY.execute(connection, {"rows": orjson.dumps(values).decode()})
    return added == len(rows)


def take_back_rejections(connection: Connection, keys: Sequence[str]) -> None:
    """Remove stored rejections, of commands that must succeed by now."""
    _TAKE_BACK.execute(connection, {"keys": keys})


def _values(row: Row, now: int) -> dict[str, str | int | None]:
    return {
        "key": row.key,
        "outcome": row.outcome.value,
        "effect": row.effect.value,
        "result": row.result,
        "code": row.code,
        "message": row.message,
        "issued_at": row.issued_at,
        "recorded_at": now,
    }
