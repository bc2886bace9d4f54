"""Undoes what the bank did."""

from __future__ import annotations

from store.tables import move, record

from saga_engine.participant import Context, Participant

bank = Participant("bank")


@bank.command
def give_back(ctx: Context, command: dict[str, object]) -> None:
    move(ctx, str(command["account"]), int(str(command["amount"])))


@bank.command
def release(ctx: Context) -> None:
    record(ctx)
