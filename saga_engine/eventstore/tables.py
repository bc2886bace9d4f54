"""The tables of domain events, as SQLAlchemy Core, and the migrations that make them.

A branch of revisions of their own, so that they may stand in the engine's database or in one apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, PrimaryKeyConstraint, Table, Text

BRANCH: Final = "eventstore"
"""The label of the revisions that make these tables."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"

domain_tables: Final = MetaData()

domain_streams: Final = Table(
    "domain_streams",
    domain_tables,
    Column("aggregate_id", Text, nullable=False),
    Column("aggregate_type", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    PrimaryKeyConstraint("aggregate_id", "aggregate_type"),
    sqlite_with_rowid=False,
)
"""One row per aggregate. `published`: every event up to this version is acknowledged by the broker."""

domain_events: Final = Table(
    "domain_events",
    domain_tables,
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
)
"""The events. `event_id` is unique over all aggregates; two writers of one version meet at the primary key."""
