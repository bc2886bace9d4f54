"""The query model of orders."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0004_order_view"
down_revision = None
branch_labels = ("order_view",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "order_view",
        Column("order_id", Text, primary_key=True),
        Column("saga_id", Text, nullable=False),
        Column("customer_id", Text, nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("receipt", Text),
        Column("reason", Text),
        Column("placed_at", BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index("order_view_customer", "order_view", ["customer_id", "placed_at"], if_not_exists=True)
    op.create_table(
        "order_view_items",
        Column("order_id", Text, primary_key=True),
        Column("line", Integer, primary_key=True),
        Column("code", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("unit_price", BigInteger, nullable=False),
        Column("quantity", Integer, nullable=False),
        if_not_exists=True,
    )
