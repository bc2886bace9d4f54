"""The tables of the event store service."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text, text

revision = "0001_domain_events"
down_revision = None
branch_labels = ("eventstore",)
depends_on = None


def upgrade() -> None:
    """Create what is not there yet, a statement at a time: safe to run again after it was cut short."""
    op.create_table(
        "domain_streams",
        Column("aggregate_id", Text, nullable=False),
        Column("aggregate_type", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("published", BigInteger, nullable=False),
        PrimaryKeyConstraint("aggregate_id", "aggregate_type"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    behind = text("published < version")
    # CockroachDB's dialect compiles what is said to PostgreSQL's.
    op.create_index(
        "domain_streams_unpublished",
        "domain_streams",
        ["aggregate_id", "aggregate_type"],
        postgresql_where=behind,
        sqlite_where=behind,
        if_not_exists=True,
    )
    op.create_table(
        "domain_events",
        Column("aggregate_id", Text, nullable=False),
        Column("aggregate_type", Text, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("event_type", Text, nullable=False),
        Column("event_data", Text, nullable=False),
        Column("stream", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        PrimaryKeyConstraint("aggregate_id", "aggregate_type", "version"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("domain_events_id", "domain_events", ["event_id"], unique=True, if_not_exists=True)
