"""Undoes what the order service did."""

from __future__ import annotations

from store.tables import record, unlock

from saga_engine.participant import Context, Participant

order = Participant("order")


@order.command
def reject(ctx: Context) -> None:
    unlock(ctx, "rejected")
    record(ctx)


@order.command
def put_back(ctx: Context) -> None:
    record(ctx)
