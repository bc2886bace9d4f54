"""The airline: a seat for everybody."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

flight = Participant("flight")


@flight.command
def book(ctx: Context) -> dict[str, object]:
    record(ctx)
    return {"seat": "12A"}


@flight.command
def print_itinerary(ctx: Context) -> None:
    record(ctx)
