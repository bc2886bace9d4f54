"""The order saga on Restate: each step a durable run block of the service, compensation when the debit is refused.

Served by hypercorn with one worker; its fastest mode that was found.
"""

from __future__ import annotations

import restate
from restate import Context, RunOptions, Service
from restate.exceptions import TerminalError

from benchmarks.orders import Order

saga = Service("saga")


def create(order: Order) -> Order:
    return {"ref": order["order_id"]}


def debit(order: Order) -> Order:
    if order["fail"]:
        raise TerminalError("payment declined")
    return {"ref": order["order_id"]}


@saga.handler()
async def run(ctx: Context, order: Order) -> str:
    await ctx.run_typed("create_order", create, RunOptions(), order)
    try:
        await ctx.run_typed("debit_payment", debit, RunOptions(), order)
    except TerminalError:
        await ctx.run_typed("reject_order", create, RunOptions(), order)
        return "compensated"
    await ctx.run_typed("approve_order", create, RunOptions(), order)
    return "completed"


app = restate.app([saga])
