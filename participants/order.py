"""The order service: creates orders and approves them."""

from pydantic import BaseModel, PositiveInt

from saga_engine.participant import Context, Participant, Rejected
from store import orders

order = Participant("order")


class CreateOrder(BaseModel):
    order_id: str
    customer_id: str
    amount: PositiveInt


class OrderCreated(BaseModel):
    order_id: str


class ApproveOrder(BaseModel):
    order_id: str
    receipt: str


@order.command
def create(ctx: Context, command: CreateOrder) -> OrderCreated:
    if not orders.place(ctx.db, ctx.saga_id, command.order_id, command.customer_id, command.amount):
        raise Rejected("order_exists", f"order {command.order_id} was placed before")
    return OrderCreated(order_id=command.order_id)


@order.command
def approve(ctx: Context, command: ApproveOrder) -> None:
    if not orders.approve(ctx.db, ctx.saga_id, command.order_id, command.receipt):
        raise Rejected("order_not_pending", f"order {command.order_id} does not wait for this approval")
