"""The payment service's ledger."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0003_payments"
down_revision = None
branch_labels = ("payment",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payments",
        Column("order_id", Text, primary_key=True),
        Column("saga_id", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("amount", BigInteger, nullable=False),
        Column("receipt", Text, nullable=False),
        if_not_exists=True,
    )
