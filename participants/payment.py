"""The payment service: charges the customer's card, up to the limit of the configuration."""

import time

from pydantic import BaseModel, NonNegativeInt, PositiveInt

from saga_engine.participant import Context, Participant, Rejected
from store import payments

payment = Participant("payment")


class PaymentSettings(BaseModel):
    """`limit` in minor units. `card_network_ms`: how long the card network, which is not real here, takes to answer."""

    limit: int = 1_000_000
    card_network_ms: NonNegativeInt = 0


class Debit(BaseModel):
    order_id: str
    amount: PositiveInt


class Debited(BaseModel):
    receipt: str


@payment.command
def debit(ctx: Context, command: Debit) -> Debited:
    settings = PaymentSettings.model_validate(ctx.settings)
    if command.amount > settings.limit:
        raise Rejected("card_declined", f"{command.amount} is above the limit of {settings.limit}")
    time.sleep(settings.card_network_ms / 1000)
    receipt = f"R-{ctx.saga_id.hex[-12:].upper()}"
    payments.debit(ctx.db, ctx.saga_id, command.order_id, command.amount, receipt)
    return Debited(receipt=receipt)
