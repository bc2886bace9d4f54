"""DBOS: the order saga as a durable workflow, its steps functions of the same process: `dbos_peer.py URL THREADS`.

Its natural mode, and at 4 threads on PostgreSQL, 8 on SQLite, the fastest that was found.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS

from benchmarks.orders import Order
from benchmarks.peers.conversation import converse


class Declined(Exception):  # noqa: N818 - an answer of the payment service
    """The debit was rejected."""


@DBOS.step()
def create_order(order: Order) -> Order:
    return {"ref": order["order_id"]}


@DBOS.step()
def debit_payment(order: Order) -> Order:
    if order["fail"]:
        raise Declined("payment declined")
    return {"ref": order["order_id"]}


@DBOS.step()
def approve_order(order: Order) -> Order:
    return {"ref": order["order_id"]}


@DBOS.step()
def reject_order(order: Order) -> Order:
    return {"ref": order["order_id"]}


@DBOS.workflow()
def saga(order: Order) -> str:
    create_order(order)
    try:
        debit_payment(order)
    except Declined:
        reject_order(order)
        return "compensated"
    approve_order(order)
    return "completed"


async def main(url: str, threads: int) -> None:
    DBOS(
        config={
            "name": "peer",
            "system_database_url": url,
            "log_level": "ERROR",
            "run_admin_server": False,
            "sys_db_pool_size": 20,
        }
    )
    DBOS.launch()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(threads) as pool:

        async def run_one(order: Order) -> str:
            ended: str = await loop.run_in_executor(pool, saga, order)
            return ended

        await converse(run_one, threads)
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    sys.stdout.flush()
    os._exit(0)  # its background threads do not end by themselves
