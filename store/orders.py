"""Orders. The saga that placed an order holds it, `pending`, until it approves or rejects it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert, select, update

PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"

metadata = MetaData()
orders = Table(
    "orders",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("saga_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # minor units
    Column("status", Text, nullable=False),
    Column("receipt", Text),
    Column("reason", Text),
)


def place(db: Connection, saga_id: UUID, order_id: str, customer_id: str, amount: int) -> bool:
    """Place an order, pending. False when it is there already; one that was rejected may be placed again."""
    status = db.execute(select(orders.c.status).where(orders.c.order_id == order_id)).scalar_one_or_none()
    order = {
        "saga_id": str(saga_id),
        "customer_id": customer_id,
        "amount": amount,
        "status": PENDING,
        "receipt": None,
        "reason": None,
    }
    if status is None:
        db.execute(insert(orders).values(order_id=order_id, **order))
    elif status == REJECTED:
        db.execute(update(orders).where(orders.c.order_id == order_id).values(order))
    return status in (None, REJECTED)


def approve(db: Connection, saga_id: UUID, order_id: str, receipt: str) -> bool:
    """Approve the order that this saga holds. False when it holds none."""
    return _close(db, saga_id, order_id, {"status": APPROVED, "receipt": receipt})


def reject(db: Connection, saga_id: UUID, order_id: str, reason: str) -> bool:
    """Reject the order that this saga holds. False when it holds none."""
    return _close(db, saga_id, order_id, {"status": REJECTED, "reason": reason})


def _close(db: Connection, saga_id: UUID, order_id: str, values: dict[str, str]) -> bool:
    held = (orders.c.order_id == order_id) & (orders.c.saga_id == str(saga_id)) & (orders.c.status == PENDING)
    return db.execute(update(orders).where(held).values(values).returning(orders.c.order_id)).first() is not None
