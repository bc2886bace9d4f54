"""The payment service, reduced to the trace it leaves. It declines what is above the shipped limit."""

from __future__ import annotations

from store.effects import record

from saga_engine.participant import Context, Participant, Rejected

LIMIT = 1_000_000

payment = Participant("payment")


@payment.command
def debit(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    amount = command["amount"]
    if isinstance(amount, int) and amount > LIMIT:
        raise Rejected("card_declined", "above the limit")
    record(ctx)
    return {"receipt": f"R-{ctx.saga_id}"}
