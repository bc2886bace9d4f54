"""The same services with a database each: every handler writes one row, in the transaction of its inbox row."""

from __future__ import annotations

from typing import Final

from sqlalchemy import insert

from benchmarks.effects import effects
from saga_engine.participant import Context, Participant, Rejected

ledger = Participant("ledger")
bank = Participant("bank")

_EFFECT: Final = insert(effects)


@ledger.command(batch=True)
def create(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    _write(ctx)
    return _reference(command)


@ledger.command(batch=True)
def approve(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    _write(ctx)
    return _reference(command)


@ledger.command(batch=True)
def reject(ctx: Context) -> None:
    _write(ctx)


@bank.command(batch=True)
def debit(ctx: Context, command: dict[str, object]) -> dict[str, object]:
    asked = command["order"]
    if isinstance(asked, dict) and asked["fail"]:
        raise Rejected("declined", "payment declined")
    _write(ctx)
    return _reference(command)


@bank.command(batch=True)
def refund(ctx: Context) -> None:
    _write(ctx)


def _reference(command: dict[str, object]) -> dict[str, object]:
    """What the caller is told of its order."""
    order = command["order"]
    return {"ref": order["order_id"] if isinstance(order, dict) else None}


def _write(ctx: Context) -> None:
    ctx.write(_EFFECT, {"saga_id": ctx.saga_id, "step": ctx.step, "direction": ctx.direction.value})
