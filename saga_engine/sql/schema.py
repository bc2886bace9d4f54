"""The tables, as SQLAlchemy Core: the engine's own, the inbox of a participant's database, a projection's checkpoints.

One form for CockroachDB, PostgreSQL and SQLite: keys made by the client, times as integer microseconds, JSON as text.
Migrations (`sql/migrations`) make these tables, with their `indexes`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.types import TypeDecorator, TypeEngine


class Id(TypeDecorator[UUID]):
    """A UUID: the native type where there is one, sixteen bytes on SQLite (which sort by time as UUIDv7 does)."""

    impl = Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[UUID] | TypeEngine[bytes]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(LargeBinary(16))
        return dialect.type_descriptor(Uuid(as_uuid=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[UUID | None], bytes | None] | None:
        return _bytes_of if dialect.name == "sqlite" else None

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[object], UUID | None] | None:
        return _id_of if dialect.name == "sqlite" else None


def _bytes_of(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def _id_of(value: Any) -> UUID | None:  # Any: what somebody has changed may be anything, and is shown as it is
    return UUID(bytes=value) if isinstance(value, bytes) else value


engine_tables: Final = MetaData()
"""What stands in the engine's database."""

inbox_tables: Final = MetaData()
"""What the SDK adds to a participant's database."""

checkpoint_tables: Final = MetaData()
"""What the SDK adds to a projection's database."""

streams: Final = Table(
    "saga_streams",
    engine_tables,
    Column("stream_id", Id, nullable=False),
    Column("saga", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("definition_version", Integer, nullable=False),
    Column("definition_hash", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("next_due", BigInteger),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    PrimaryKeyConstraint("stream_id"),
    sqlite_with_rowid=False,
)
"""One row per saga: what is compared and set, listed, and looked at when it is due (`ports.StreamHead`)."""

events: Final = Table(
    "saga_events",
    engine_tables,
    Column("stream_id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("batch_id", Id, nullable=False),
    PrimaryKeyConstraint("stream_id", "version"),
    sqlite_with_rowid=False,
)
"""The streams. `batch_id`, made by the client for each append, tells after an unknown commit whether it was ours."""

keys: Final = Table(
    "saga_keys",
    engine_tables,
    Column("key", Text, nullable=False),
    Column("saga", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("stream_id", Id, nullable=False),
    Column("input_hash", Text, nullable=False),
    PrimaryKeyConstraint("key", "saga", "generation"),
    sqlite_with_rowid=False,
)
"""Which saga a business key belongs to. The key leads, so that it is also found when no saga name is given."""

definitions: Final = Table(
    "saga_definitions",
    engine_tables,
    Column("hash", Text, nullable=False),
    Column("saga", Text, nullable=False),
    Column("content", Text, nullable=False),
    PrimaryKeyConstraint("hash"),
)

definition_versions: Final = Table(
    "saga_definition_versions",
    engine_tables,
    Column("saga", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    PrimaryKeyConstraint("saga", "version"),
    sqlite_with_rowid=False,
)

snapshots: Final = Table(
    "saga_snapshots",
    engine_tables,
    Column("stream_id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("stream_id"),
)

leases: Final = Table(
    "saga_leases",
    engine_tables,
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
    sqlite_with_rowid=False,
)

reply_keys: Final = Table(
    "saga_reply_keys",
    engine_tables,
    Column("id", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("id"),
    sqlite_with_rowid=False,
)

inbox: Final = Table(
    "saga_inbox",
    inbox_tables,
    Column("key", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("effect", Text, nullable=False),
    Column("result", Text),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("key"),
)
"""Commands that this participant has answered, by idempotency key. `outcome`: succeeded, rejected or tombstone."""

inbox_tries: Final = Table(
    "saga_inbox_tries",
    inbox_tables,
    Column("key", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("key"),
    sqlite_with_rowid=False,
)
"""How often a repeated command was begun and not answered: what a poisonous command is recognised by."""

checkpoints: Final = Table(
    "saga_checkpoints",
    checkpoint_tables,
    Column("projection", Text, nullable=False),
    Column("stream_id", Id, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("open", SmallInteger, nullable=False),
    Column("trouble", Text),
    PrimaryKeyConstraint("projection", "stream_id"),
    Index("saga_checkpoints_open", "projection", "open", "stream_id"),
    sqlite_with_rowid=False,
)
"""Up to which version a projection has taken in each stream. `open`: 1 until it has taken in the stream's end.

`trouble`: why it could not take in what comes next.
"""
