"""The query model of orders: by id, by customer, with their items. Made from the events of `place_order` alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import AliasChoices, BaseModel, Field
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from saga_engine.projections import Context, Projection, on

PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"
UNKNOWN_TIME = "0001-01-01T00:00:00Z"
"""What an order says that does not say when it was ordered: services in Go read it as no time."""
MOST = 100
"""Orders of a customer that are shown without being asked for more."""

metadata = MetaData()
orders = Table(
    "order_view",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("saga_id", Text, nullable=False),
    Column("customer_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # minor units
    Column("status", Text, nullable=False),
    Column("receipt", Text),
    Column("reason", Text),
    Column("placed_at", BigInteger, nullable=False),  # microseconds
    Column("restaurant_id", Text),
    Column("created_on", Text),
    Index("order_view_customer", "customer_id", "placed_at"),
)
items = Table(
    "order_view_items",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("code", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("unit_price", BigInteger, nullable=False),  # minor units
    Column("quantity", Integer, nullable=False),
)


class Item(BaseModel):
    code: str
    name: str
    unit_price: int
    quantity: int


class OrderCreated(BaseModel):
    order_id: str
    customer_id: str
    restaurant_id: str | None = None
    created_on: str | None = None
    amount: int
    # Sagas of the definition's first version call them `items`.
    order_items: Annotated[list[Item], Field(validation_alias=AliasChoices("order_items", "items"))] = []


class OrderApproved(BaseModel):
    order_id: str
    receipt: str


class OrderRejected(BaseModel):
    order_id: str
    reason: str | None = None


class OrderView(Projection):
    """Between sagas there is no order: an order that was rejected and placed again may be heard of in any order."""

    name = "order_view"
    sagas = ("place_order",)
    tables = metadata

    @on("OrderCreated")
    def created(self, ctx: Context, order: OrderCreated) -> None:
        held = ctx.db.execute(select(orders.c.saga_id).where(orders.c.order_id == order.order_id)).scalar_one_or_none()
        if held is not None and UUID(held) > ctx.saga_id:
            return  # Ids are ordered by time: what is there is of a later try.
        for table in (items, orders):
            ctx.db.execute(delete(table).where(table.c.order_id == order.order_id))
        ctx.db.execute(
            insert(orders).values(
                order_id=order.order_id,
                saga_id=str(ctx.saga_id),
                customer_id=order.customer_id,
                restaurant_id=order.restaurant_id or None,
                created_on=None if order.created_on == UNKNOWN_TIME else order.created_on,
                amount=order.amount,
                status=PENDING,
                placed_at=ctx.at,
            )
        )
        if order.order_items:
            each = enumerate(order.order_items)
            lines = [{"order_id": order.order_id, "line": line, **item.model_dump()} for line, item in each]
            ctx.db.execute(insert(items), lines)

    @on("OrderApproved")
    def approved(self, ctx: Context, order: OrderApproved) -> None:
        _close(ctx, order.order_id, {"status": APPROVED, "receipt": order.receipt})

    @on("OrderRejected")
    def rejected(self, ctx: Context, order: OrderRejected) -> None:
        _close(ctx, order.order_id, {"status": REJECTED, "reason": order.reason})


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it is shown. Amounts are in minor units, `placed_at` in microseconds since 1970.

    `created_on`: when it was ordered, as RFC 3339, where whoever placed it said so.
    """

    order_id: str
    saga_id: UUID
    customer_id: str
    restaurant_id: str | None
    created_on: str | None
    amount: int
    status: str
    receipt: str | None
    reason: str | None
    placed_at: int
    items: tuple[Item, ...]


def order(db: Connection, order_id: str) -> Order | None:
    """One order with its items."""
    return next(iter(_read(db, orders.c.order_id == order_id)), None)


def orders_of(db: Connection, customer_id: str, most: int = MOST) -> Sequence[Order]:
    """The newest orders of a customer with their items, newest first, at most so many."""
    return _read(db, orders.c.customer_id == customer_id, most)


def _read(db: Connection, wanted: ColumnElement[bool], most: int = 1) -> list[Order]:
    newest = select(orders).where(wanted).order_by(orders.c.placed_at.desc(), orders.c.saga_id.desc()).limit(most)
    rows = db.execute(newest).all()
    found: dict[str, list[Item]] = {row.order_id: [] for row in rows}
    lines = select(items).where(items.c.order_id.in_(found))
    for line in db.execute(lines.order_by(items.c.order_id, items.c.line)).all():
        found[line.order_id].append(
            Item(code=line.code, name=line.name, unit_price=line.unit_price, quantity=line.quantity)
        )
    return [
        Order(
            order_id=row.order_id,
            saga_id=UUID(row.saga_id),
            customer_id=row.customer_id,
            restaurant_id=row.restaurant_id,
            created_on=row.created_on,
            amount=row.amount,
            status=row.status,
            receipt=row.receipt,
            reason=row.reason,
            placed_at=row.placed_at,
            items=tuple(found[row.order_id]),
        )
        for row in rows
    ]


def _close(ctx: Context, order_id: str, values: dict[str, str | None]) -> None:
    own = (orders.c.order_id == order_id) & (orders.c.saga_id == str(ctx.saga_id))
    ctx.db.execute(update(orders).where(own).values(values))
