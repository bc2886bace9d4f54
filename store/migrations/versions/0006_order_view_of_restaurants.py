"""The query model of orders shows the restaurant too, and when it was ordered."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, inspect

revision = "0006_order_view_of_restaurants"
down_revision = "0004_order_view"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A revision that was cut short is run again, and SQLite has no ADD COLUMN IF NOT EXISTS.
    bind = op.get_bind()
    sqlite = bind.dialect.name == "sqlite"
    there = {column["name"] for column in inspect(bind).get_columns("order_view")} if sqlite else set()
    for name in ("restaurant_id", "created_on"):
        if name not in there:
            op.add_column("order_view", Column(name, Text), if_not_exists=not sqlite)
