"""Revision `0001_event_streams`: the event store's tables.

A project's own Alembic environment applies the same DDL under the same revision id, by calling `upgrade` from here.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, PrimaryKeyConstraint, SmallInteger, Text, text

from saga_engine.sql.schema import Id


def upgrade() -> None:
    """Create what is not there yet, a statement at a time: safe to run again after it was cut short."""
    _create_streams()
    _create_events()
    _create_keys()
    _create_definitions()
    _create_caches_and_leases()


def _create_streams() -> None:
    op.create_table(
        "saga_streams",
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
        if_not_exists=True,
    )
    _index_streams()


def _index_streams() -> None:
    """The indexes: for what is due in a partition, and for the lists by status and by saga."""
    pending = text("next_due IS NOT NULL")
    # CockroachDB's dialect compiles what is said to PostgreSQL's.
    op.create_index(
        "saga_streams_due",
        "saga_streams",
        ["partition", "next_due"],
        postgresql_where=pending,
        sqlite_where=pending,
        if_not_exists=True,
    )
    op.create_index("saga_streams_status", "saga_streams", ["status", "stream_id"], if_not_exists=True)
    op.create_index("saga_streams_saga", "saga_streams", ["saga", "stream_id"], if_not_exists=True)


def _create_events() -> None:
    op.create_table(
        "saga_events",
        Column("stream_id", Id, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("type", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        Column("batch_id", Id, nullable=False),
        PrimaryKeyConstraint("stream_id", "version"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )


def _create_keys() -> None:
    op.create_table(
        "saga_keys",
        Column("key", Text, nullable=False),
        Column("saga", Text, nullable=False),
        Column("generation", Integer, nullable=False),
        Column("stream_id", Id, nullable=False),
        Column("input_hash", Text, nullable=False),
        PrimaryKeyConstraint("key", "saga", "generation"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )


def _create_definitions() -> None:
    op.create_table(
        "saga_definitions",
        Column("hash", Text, nullable=False),
        Column("saga", Text, nullable=False),
        Column("content", Text, nullable=False),
        PrimaryKeyConstraint("hash"),
        if_not_exists=True,
    )
    op.create_table(
        "saga_definition_versions",
        Column("saga", Text, nullable=False),
        Column("version", Integer, nullable=False),
        Column("hash", Text, nullable=False),
        PrimaryKeyConstraint("saga", "version"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )


def _create_caches_and_leases() -> None:
    op.create_table(
        "saga_snapshots",
        Column("stream_id", Id, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("data", LargeBinary, nullable=False),
        PrimaryKeyConstraint("stream_id"),
        if_not_exists=True,
    )
    op.create_table(
        "saga_leases",
        Column("name", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "saga_reply_keys",
        Column("id", Text, nullable=False),
        Column("secret", LargeBinary, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
