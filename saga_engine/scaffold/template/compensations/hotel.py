"""Undoes what the hotel did."""

from pydantic import BaseModel
from saga_engine.participant import Context, Participant

from store import bookings

hotel = Participant("hotel")


class Release(BaseModel):
    booking_id: str


@hotel.command
def release(ctx: Context, command: Release) -> None:
    bookings.release(ctx.db, ctx.saga_id, command.booking_id)
