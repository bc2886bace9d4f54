"""The payout service: money leaves the house."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant

payout = Participant("payout")


@payout.command
def transfer(ctx: Context) -> None:
    record(ctx)
