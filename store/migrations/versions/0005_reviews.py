"""The review service's list of what it approved."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0005_reviews"
down_revision = None
branch_labels = ("review",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reviews",
        Column("order_id", Text, primary_key=True),
        Column("saga_id", Text, primary_key=True),
        Column("customer_id", Text, nullable=False),
        Column("amount", BigInteger, nullable=False),
        if_not_exists=True,
    )
