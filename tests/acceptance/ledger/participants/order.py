"""The order service, reduced to the trace it leaves."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

order = Participant("order")


@order.command
def create(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    record(ctx)
    return {"order_id": command["order_id"]}


@order.command
def approve(ctx: Context, command: dict[str, object]) -> None:
    record(ctx)
