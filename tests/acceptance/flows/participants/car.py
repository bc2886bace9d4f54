"""The car rental, which may have no car, and the vans of the shop."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant, Rejected

car = Participant("car")


@car.command
def rent(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    if not command["available"]:
        raise Rejected("no_car", "all cars are out")
    record(ctx)
    return {"plate": "S-AGA 1"}


@car.command
def load(ctx: Context) -> None:
    record(ctx)
