"""Undoes what the order service did: leaves a row that says so."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

order = Participant("order")


@order.command
def reject(ctx: Context, command: dict[str, object]) -> None:
    record(ctx)
