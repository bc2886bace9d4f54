"""A ledger without any constraint, written by handlers in their own transaction: a doubled effect shows as two rows."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import Column, Connection, Engine, MetaData, Table, Text, func, insert, select

metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("saga_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
)


def enter(db: Connection, saga_id: object, kind: str) -> None:
    """One effect."""
    db.execute(insert(effects).values(id=str(uuid4()), saga_id=str(saga_id), kind=kind))


def entered(engine: Engine, saga_id: object) -> dict[str, int]:
    """How many effects of each kind this saga has."""
    counted = select(effects.c.kind, func.count().label("number")).group_by(effects.c.kind)
    counted = counted.where(effects.c.saga_id == str(saga_id))
    with engine.connect() as connection:
        return {row.kind: row.number for row in connection.execute(counted)}
