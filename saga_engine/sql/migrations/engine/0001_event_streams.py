"""The engine's event streams, where no project has an Alembic environment of its own."""

from __future__ import annotations

from saga_engine.sql.migrations import event_streams

revision = "0001_event_streams"
down_revision = None
branch_labels = ("engine",)
depends_on = None


def upgrade() -> None:
    event_streams.upgrade()
