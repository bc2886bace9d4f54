"""The bank: it keeps accounts that money is moved from, holds credit, and seals transfers."""

from __future__ import annotations

from store.misfortune import strike
from store.tables import move, record

from saga_engine.participant import Context, Participant

bank = Participant("bank")


@bank.command
def withdraw(ctx: Context, command: dict[str, object]) -> None:
    move(ctx, str(command["account"]), -int(str(command["amount"])))


@bank.command
def hold(ctx: Context) -> None:
    record(ctx)


@bank.command
def seal(ctx: Context, command: dict[str, object]) -> None:
    strike(ctx, command["mood"])
    record(ctx)


@bank.command
def note(ctx: Context) -> None:
    record(ctx)
