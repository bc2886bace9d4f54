"""Undoes what the bank did."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

bank = Participant("bank")


@bank.command
def refund(ctx: Context) -> None:
    record(ctx)


@bank.command
def release(ctx: Context) -> None:
    record(ctx)


@bank.command
def close_account(ctx: Context) -> None:
    record(ctx)
