"""The bank: it charges up to a limit, and keeps what it is told."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant, Rejected

LIMIT = 1_000

bank = Participant("bank")


@bank.command
def charge(ctx: Context, command: dict[str, object]) -> None:
    amount = command["amount"]
    if isinstance(amount, int) and amount > LIMIT:
        raise Rejected("card_declined", "above the limit")
    record(ctx)


@bank.command
def reserve(ctx: Context) -> None:
    record(ctx)


@bank.command
def pay(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    record(ctx)
    return {"approved_by": command["by"]}


@bank.command
def note(ctx: Context) -> None:
    record(ctx)


@bank.command
def sign(ctx: Context) -> None:
    record(ctx)


@bank.command
def open_account(ctx: Context) -> None:
    record(ctx)
