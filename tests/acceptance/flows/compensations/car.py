"""Gives a car back, and empties a van."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

car = Participant("car")


@car.command
def give_back(ctx: Context) -> None:
    record(ctx)


@car.command
def unload(ctx: Context) -> None:
    record(ctx)
