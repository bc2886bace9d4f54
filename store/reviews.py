"""The orders that were approved by a review: rows are added, never changed. At most one of an order by one saga."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, insert

metadata = MetaData()
reviews = Table(
    "reviews",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("saga_id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # minor units
)


def approve(db: Connection, saga_id: UUID, order_id: str, customer_id: str, amount: int) -> None:
    """Enter that the order was approved."""
    db.execute(insert(reviews).values(order_id=order_id, saga_id=str(saga_id), customer_id=customer_id, amount=amount))
