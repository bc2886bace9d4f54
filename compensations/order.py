"""Undoes what the order service did."""

from pydantic import BaseModel

from saga_engine.participant import Context, Participant
from store import orders

order = Participant("order")


class RejectOrder(BaseModel):
    order_id: str
    reason: str


@order.command
def reject(ctx: Context, command: RejectOrder) -> None:
    orders.reject(ctx.db, ctx.saga_id, command.order_id, command.reason)
