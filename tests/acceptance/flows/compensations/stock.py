"""Puts goods back on their shelf."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

stock = Participant("stock")


@stock.command
def put_back(ctx: Context) -> None:
    record(ctx)
