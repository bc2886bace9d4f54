"""The hotel: always a room."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

hotel = Participant("hotel")


@hotel.command
def book(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    record(ctx)
    return {"nights": command["nights"]}
