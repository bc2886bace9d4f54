"""The effects of order."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0001_effects_order"
down_revision = None
branch_labels = ("order",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "effects",
        Column("id", Text, primary_key=True),
        Column("saga_id", Text, nullable=False),
        Column("step", Text, nullable=False),
        Column("direction", Text, nullable=False),
        if_not_exists=True,
    )
