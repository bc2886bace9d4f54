"""A row for every effect of every handler. Nothing is unique here: a second effect shows."""

from __future__ import annotations

import time
from uuid import uuid4

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert

from saga_engine.participant import Context

metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("saga_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("item", Integer),
    Column("direction", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)


def record(ctx: Context) -> None:
    """Leave the row of this command's effect, in its transaction."""
    ctx.db.execute(
        insert(effects).values(
            id=str(uuid4()),
            saga_id=str(ctx.saga_id),
            step=ctx.step,
            item=ctx.item,
            direction=str(ctx.direction),
            at=time.time_ns() // 1_000,
        )
    )
