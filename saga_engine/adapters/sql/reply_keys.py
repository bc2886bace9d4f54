"""Keeps the secrets that reply tokens are made with, so that all orchestrators of a store know the same ones."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Engine, select

from saga_engine.adapters.sql.inserting import insert
from saga_engine.sql.schema import reply_keys
from saga_engine.sql.transaction import run_query, run_transaction

FIRST_ID: Final = "1"
SECRET_BYTES: Final = 32

_ALL: Final = select(reply_keys.c.id, reply_keys.c.secret).order_by(reply_keys.c.created_at, reply_keys.c.id)


def reply_secrets(engine: Engine, isolation: str | None, now: int) -> Mapping[str, bytes]:
    """The secrets by id, newest last; whoever comes first makes one, and all others find that one."""
    found = run_query(engine, _read)
    if found:
        return found

    def make(connection: Connection) -> None:
        secret = secrets.token_bytes(SECRET_BYTES)
        first = insert(engine.dialect.name, reply_keys).on_conflict_do_nothing(index_elements=["id"])
        connection.execute(first, {"id": FIRST_ID, "secret": secret, "created_at": now})

    run_transaction(engine, make, isolation=isolation, repeatable=True)
    return run_query(engine, _read)


def _read(connection: Connection) -> dict[str, bytes]:
    return {id_: bytes(secret) for id_, secret in connection.execute(_ALL)}
