"""Undoes what the payment service did."""

from pydantic import BaseModel

from saga_engine.participant import Context, Participant
from store import payments

payment = Participant("payment")


class Refund(BaseModel):
    order_id: str


@payment.command
def refund(ctx: Context, command: Refund) -> None:
    payments.refund(ctx.db, ctx.saga_id, command.order_id)
