"""The databases as they are before anything happens, serialized once per process: tables of the engine and of ours.

Owns the schema of the test participants' own tables. Knows no handler.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Final

from sqlalchemy import MetaData
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from saga_engine.sql.indexes import indexed_engine_tables
from saga_engine.sql.schema import inbox_tables

OPENING: Final = 10_000
"""What every account begins with: more than all sagas of a run can move."""

_ORDER: Final = (
    "CREATE TABLE sim_order (stream_id BLOB, version INTEGER, tick INTEGER)",
    "CREATE TRIGGER sim_order_of_events AFTER INSERT ON saga_events"
    " BEGIN INSERT INTO sim_order VALUES (NEW.stream_id, NEW.version, tick()); END",
)
"""When each event was written, on the counter of all that happens."""

_PARTICIPANT: Final = (
    "CREATE TABLE ledger (key TEXT, saga_id TEXT, step TEXT, item INTEGER, direction TEXT, kind TEXT, amount INTEGER,"
    " account TEXT, at INTEGER, tick INTEGER)",
    "CREATE INDEX ledger_key ON ledger (key)",
    "CREATE TABLE accounts (name TEXT PRIMARY KEY, amount INTEGER NOT NULL)",
    "CREATE TABLE locks (saga_id TEXT, what TEXT, PRIMARY KEY (saga_id, what))",
)


@cache
def engine_image() -> bytes:
    """The engine's database, which also notes when each event was written."""
    return _image([indexed_engine_tables()], _ORDER)


@cache
def participant_image() -> bytes:
    """A participant's database: the inbox, the ledger of effects, two accounts and the semantic locks."""
    accounts = [f"INSERT INTO accounts VALUES ('{name}', {OPENING})" for name in ("alice", "bob")]  # noqa: S608 - ours
    return _image([inbox_tables], (*_PARTICIPANT, *accounts))


def _image(tables: Sequence[MetaData], statements: Sequence[str]) -> bytes:
    dialect = sqlite.dialect()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for metadata in tables:
        for table in metadata.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=dialect)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(str(CreateIndex(index).compile(dialect=dialect)))
    for statement in statements:
        connection.execute(statement)
    image = connection.serialize()
    connection.close()
    return image
