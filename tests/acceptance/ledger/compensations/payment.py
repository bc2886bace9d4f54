"""Undoes what the payment service did: leaves a row that says so."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

payment = Participant("payment")


@payment.command
def refund(ctx: Context, command: dict[str, object]) -> None:
    record(ctx)
