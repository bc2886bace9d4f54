"""The table that the fenced handlers of the benchmark write to: one row for every effect.

Knows no handler.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Table, Text, Uuid

tables: Final = MetaData()

effects: Final = Table(
    "effects",
    tables,
    Column("saga_id", Uuid, nullable=False),
    Column("step", Text, nullable=False),
    Column("direction", Text, nullable=False),
    PrimaryKeyConstraint("saga_id", "step", "direction"),
)
