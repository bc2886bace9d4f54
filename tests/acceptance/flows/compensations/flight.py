"""Gives a seat back."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

flight = Participant("flight")


@flight.command
def cancel(ctx: Context) -> None:
    record(ctx)
