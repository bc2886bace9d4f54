"""Gives a room back."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

hotel = Participant("hotel")


@hotel.command
def cancel(ctx: Context) -> None:
    record(ctx)
