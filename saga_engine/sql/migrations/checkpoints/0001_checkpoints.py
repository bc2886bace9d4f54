"""The checkpoints of a projection, in the projection's own database. Supplied by the SDK to each of them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, SmallInteger, Text

from saga_engine.sql.schema import Id

revision = "0001_checkpoints"
down_revision = None
branch_labels = ("checkpoints",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saga_checkpoints",
        Column("projection", Text, nullable=False),
        Column("stream_id", Id, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("open", SmallInteger, nullable=False),
        Column("trouble", Text),
        PrimaryKeyConstraint("projection", "stream_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index(
        "saga_checkpoints_open", "saga_checkpoints", ["projection", "open", "stream_id"], if_not_exists=True
    )
