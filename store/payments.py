"""The ledger of payments: rows are added, never changed. At most one debit and one refund of an order by one saga."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, Insert, MetaData, Table, Text, insert, select

DEBIT, REFUND = "debit", "refund"

metadata = MetaData()
payments = Table(
    "payments",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),  # minor units
    Column("receipt", Text, nullable=False),
)


def debit(db: Connection, saga_id: UUID, order_id: str, amount: int, receipt: str) -> None:
    """Enter a debit."""
    db.execute(_entry(saga_id, order_id, DEBIT, amount, receipt))


def refund(db: Connection, saga_id: UUID, order_id: str) -> bool:
    """Give back what this saga debited for the order. False when it debited nothing."""
    debited = select(payments.c.amount, payments.c.receipt).where(
        payments.c.order_id == order_id, payments.c.saga_id == str(saga_id), payments.c.kind == DEBIT
    )
    entry = db.execute(debited).one_or_none()
    if entry is not None:
        db.execute(_entry(saga_id, order_id, REFUND, entry.amount, entry.receipt))
    return entry is not None


def _entry(saga_id: UUID, order_id: str, kind: str, amount: int, receipt: str) -> Insert:
    return insert(payments).values(order_id=order_id, saga_id=str(saga_id), kind=kind, amount=amount, receipt=receipt)
