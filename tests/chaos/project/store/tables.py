"""The tables of every participant: its effects, its accounts, and the rows it marks pending for a saga.

Nothing is unique but the accounts: a second effect shows.
"""

from __future__ import annotations

import time
from uuid import uuid4

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, insert, update

from saga_engine.participant import Context, Rejected

metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("saga_id", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("item", Integer),
    Column("direction", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
accounts = Table(
    "accounts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False),
)
locks = Table(
    "locks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("saga_id", Text, nullable=False, index=True),
    Column("status", Text, nullable=False),
)


def record(ctx: Context, amount: int = 0) -> None:
    """Leave the row of this command's effect, in its transaction."""
    ctx.db.execute(
        insert(effects).values(
            id=str(uuid4()),
            key=ctx.idempotency_key,
            saga_id=str(ctx.saga_id),
            step=ctx.step,
            item=ctx.item,
            direction=str(ctx.direction),
            amount=amount,
            at=time.time_ns() // 1_000,
        )
    )


def move(ctx: Context, account: str, amount: int) -> None:
    """Add to an account, or take from it if there is enough, and leave the row of the effect."""
    enough = accounts.c.balance + amount >= 0
    changed = ctx.db.execute(
        update(accounts).where(accounts.c.account == account, enough).values(balance=accounts.c.balance + amount)
    )
    if changed.rowcount != 1:
        raise Rejected("insufficient_funds", f"{account} cannot give {-amount}")
    record(ctx, amount)


def lock(ctx: Context) -> None:
    """Mark a row pending for the saga."""
    ctx.db.execute(insert(locks).values(id=str(uuid4()), saga_id=str(ctx.saga_id), status="pending"))


def unlock(ctx: Context, status: str) -> None:
    """The saga's rows are pending no more."""
    ctx.db.execute(update(locks).where(locks.c.saga_id == str(ctx.saga_id)).values(status=status))
