"""The hotel: holds rooms."""

from pydantic import BaseModel, PositiveInt
from saga_engine.participant import Context, Participant

from store import bookings

PRICE_OF_A_NIGHT = 9_000  # minor units

hotel = Participant("hotel")


class Hold(BaseModel):
    booking_id: str
    nights: PositiveInt


class Held(BaseModel):
    price: int


@hotel.command
def hold(ctx: Context, command: Hold) -> Held:
    # In one transaction with the engine's inbox: a command that comes twice holds one room.
    bookings.hold(ctx.db, ctx.saga_id, command.booking_id, command.nights)
    return Held(price=command.nights * PRICE_OF_A_NIGHT)
