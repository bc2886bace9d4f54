"""The inbox of a participant, in the participant's own database. Supplied by the SDK to each of them."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Text

revision = "0001_inbox"
down_revision = None
branch_labels = ("inbox",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saga_inbox",
        Column("key", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("effect", Text, nullable=False),
        Column("result", Text),
        Column("code", Text, nullable=False),
        Column("message", Text, nullable=False),
        Column("issued_at", BigInteger, nullable=False),
        Column("recorded_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("key"),
        if_not_exists=True,
    )
    op.create_table(
        "saga_inbox_tries",
        Column("key", Text, nullable=False),
        Column("tries", Integer, nullable=False),
        Column("recorded_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("key"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
