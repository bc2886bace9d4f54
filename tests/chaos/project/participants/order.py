"""The order service: it takes orders, keeps them pending until they are approved, and reserves goods."""

from __future__ import annotations

from store.misfortune import strike
from store.tables import lock, record, unlock

from saga_engine.participant import Context, Participant

order = Participant("order")


@order.command
def create(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    lock(ctx)
    record(ctx)
    return {"order_id": command["order_id"]}


@order.command
def approve(ctx: Context) -> None:
    unlock(ctx, "approved")
    record(ctx)


@order.command
def reserve(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    strike(ctx, command["mood"])
    record(ctx)
    return {"shelf": f"shelf of {command['sku']}"}


@order.command
def confirm(ctx: Context) -> None:
    record(ctx)
