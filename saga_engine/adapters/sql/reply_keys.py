"""Keeps the secrets that reply tokens are made with, so that all orchestrators of a store know the same ones.

Owns their order: the newest signs, all count until they are retired. Knows no token.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, Engine, delete, select

from saga_engine.adapters.sql.inserting import insert
from saga_engine.sql.schema import reply_keys
from saga_engine.sql.transaction import run_query, run_transaction

FIRST_ID: Final = "1"
SECRET_BYTES: Final = 32

_ALL: Final = select(reply_keys.c.id, reply_keys.c.secret, reply_keys.c.created_at).order_by(
    reply_keys.c.created_at, reply_keys.c.id
)


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key without its secret. `created_at` in microseconds since 1970; `signs`: new tokens are made with it."""

    id: str
    created_at: int
    signs: bool


class Retirement(StrEnum):
    """What became of retiring a key. `signs`: refused, since new tokens are made with it."""

    RETIRED = "retired"
    UNKNOWN = "unknown"
    SIGNS = "signs"


class SqlReplyKeys:
    """The keys of one store. Calls block, are whole transactions, and are safe from several processes."""

    def __init__(self, engine: Engine, isolation: str | None, now: Callable[[], int]) -> None:
        self._engine = engine
        self._isolation = isolation
        self._now = now
        self._insert = insert(engine.dialect.name, reply_keys).on_conflict_do_nothing(index_elements=["id"])

    def secrets(self) -> Mapping[str, bytes]:
        """The secrets by id, newest last; whoever comes first makes one, and all others find that one."""
        found = run_query(self._engine, _read)
        if not found:
            self._add(FIRST_ID, self._now())
            found = run_query(self._engine, _read)
        return {one.id: one.secret for one in found}

    def known(self) -> Sequence[KnownKey]:
        """All keys, oldest first. None before the first orchestrator ran."""
        found = run_query(self._engine, _read)
        return [KnownKey(one.id, one.created_at, one is found[-1]) for one in found]

    def rotate(self) -> KnownKey:
        """Add a key, which signs from now on. The older ones still count."""
        while True:
            found = run_query(self._engine, _read)
            newest = str(1 + max((int(one.id) for one in found if one.id.isdecimal()), default=0))
            created_at = max([self._now(), *(one.created_at + 1 for one in found)])
            if self._add(newest, created_at):
                return KnownKey(newest, created_at, signs=True)

    def retire(self, key_id: str) -> Retirement:
        """Remove a key: what was signed with it counts no more, and is asked again. The one that signs stays."""
        found = run_query(self._engine, _read)
        if key_id not in {one.id for one in found}:
            return Retirement.UNKNOWN
        if found[-1].id == key_id:
            return Retirement.SIGNS
        # Keys are only ever added as the newest, so that another one signs whatever happens meanwhile.
        statement = delete(reply_keys).where(reply_keys.c.id == key_id)
        run_transaction(
            self._engine,
            lambda connection: connection.execute(statement).rowcount,
            isolation=self._isolation,
            repeatable=True,
        )
        return Retirement.RETIRED

    def _add(self, key_id: str, created_at: int) -> bool:
        """Whether the key is there now as made here."""
        secret = secrets.token_bytes(SECRET_BYTES)
        values = {"id": key_id, "secret": secret, "created_at": created_at}
        run_transaction(
            self._engine,
            lambda connection: connection.execute(self._insert, values).rowcount,
            isolation=self._isolation,
            repeatable=True,
        )
        return any(one.id == key_id and one.secret == secret for one in run_query(self._engine, _read))


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    secret: bytes
    created_at: int


def _read(connection: Connection) -> list[_Row]:
    return [_Row(id_, bytes(secret), created_at) for id_, secret, created_at in connection.execute(_ALL)]
