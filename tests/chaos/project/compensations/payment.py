"""Undoes what the payment service did."""

from __future__ import annotations

from store.tables import move, record

from saga_engine.participant import Context, Participant

payment = Participant("payment")


@payment.command
def refund(ctx: Context) -> None:
    record(ctx)


@payment.command
def release(ctx: Context) -> None:
    record(ctx)


@payment.command
def take_back(ctx: Context, command: dict[str, object]) -> None:
    move(ctx, str(command["account"]), -int(str(command["amount"])))
