"""The order service and the payment service of the common workload: without a database, they answer at once."""

from __future__ import annotations

from saga_engine.participant import Context, Participant, Rejected

order = Participant("order")
payment = Participant("payment")


@order.command
async def create(_: Context, command: dict[str, object]) -> dict[str, object]:
    return _reference(command)


@order.command
async def approve(_: Context, command: dict[str, object]) -> dict[str, object]:
    return _reference(command)


@order.command
async def reject(_: Context) -> None:
    """There is nothing to write."""


@payment.command
async def debit(_: Context, command: dict[str, object]) -> dict[str, object]:
    asked = command["order"]
    if isinstance(asked, dict) and asked["fail"]:
        raise Rejected("declined", "payment declined")
    return _reference(command)


@payment.command
async def refund(_: Context) -> None:
    """There is nothing to write."""


def _reference(command: dict[str, object]) -> dict[str, object]:
    """What the caller is told of its order."""
    asked = command["order"]
    return {"ref": asked["order_id"] if isinstance(asked, dict) else None}
