"""The payment service: it debits cards, holds amounts, and keeps wallets that money is moved to."""

from __future__ import annotations

from store.misfortune import strike
from store.tables import move, record

from saga_engine.participant import Context, Participant

payment = Participant("payment")


@payment.command
def debit(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    strike(ctx, command["mood"])
    record(ctx)
    return {"receipt": f"R-{ctx.saga_id}"}


@payment.command
def hold(ctx: Context, command: dict[str, object]) -> None:
    strike(ctx, command["mood"])
    record(ctx)


@payment.command
def deposit(ctx: Context, command: dict[str, object]) -> None:
    strike(ctx, command["mood"])
    move(ctx, str(command["account"]), int(str(command["amount"])))
