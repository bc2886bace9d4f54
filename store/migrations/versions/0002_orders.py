"""The order service's table."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0002_orders"
down_revision = None
branch_labels = ("order",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "orders",
        Column("order_id", Text, primary_key=True),
        Column("saga_id", Text, nullable=False),
        Column("customer_id", Text, nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("receipt", Text),
        Column("reason", Text),
        if_not_exists=True,
    )
