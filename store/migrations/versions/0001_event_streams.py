"""The engine's event streams: its DDL comes with the package. Later revisions of this folder are the project's own."""

from __future__ import annotations

from saga_engine.sql.migrations import event_streams

revision = "0001_event_streams"
down_revision = None
branch_labels = ("engine",)
depends_on = None


def upgrade() -> None:
    event_streams.upgrade()
