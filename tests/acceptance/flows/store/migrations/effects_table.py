"""The table of effects, for the first revision of every participant's database."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text


def create() -> None:
    op.create_table(
        "effects",
        Column("id", Text, primary_key=True),
        Column("saga_id", Text, nullable=False),
        Column("step", Text, nullable=False),
        Column("item", Integer),
        Column("direction", Text, nullable=False),
        Column("at", BigInteger, nullable=False),
        if_not_exists=True,
    )
