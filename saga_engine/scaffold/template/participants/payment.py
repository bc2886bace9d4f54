"""The payment service: charges the customer's card, up to the limit of config.yaml."""

from pydantic import BaseModel, PositiveInt
from saga_engine.participant import Context, Participant, Rejected

payment = Participant("payment")


class PaymentSettings(BaseModel):
    limit: PositiveInt = 100_000  # minor units


class Charge(BaseModel):
    booking_id: str
    amount: PositiveInt


class Charged(BaseModel):
    receipt: str


@payment.command
def charge(ctx: Context, command: Charge) -> Charged:
    limit = PaymentSettings.model_validate(ctx.settings).limit
    if command.amount > limit:
        # Definitely not done: the saga compensates. Any other exception means "unknown", and is tried again.
        raise Rejected("card_declined", f"{command.amount} is above the limit of {limit}")
    return Charged(receipt=f"R-{command.booking_id}")
