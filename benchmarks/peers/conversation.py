"""How a peer's program is talked to: a line on stdin says what to measure, a line of JSON on stdout answers.

Runs in the peer's process. Knows no peer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import quantiles

from benchmarks.orders import Order, orders

RunOne = Callable[[Order], Awaitable[str]]
"""Runs one saga to its end: `completed` or `compensated`."""


async def converse(run_one: RunOne, in_flight: int) -> None:
    """Say `ready`, then answer until stdin ends: `throughput SAGAS happy|failing`, `latency SAGAS`."""
    _say({"ready": True})
    for number in count():
        line = (await asyncio.to_thread(sys.stdin.readline)).split()
        if not line:
            return
        failing = line[-1] == "failing"
        given = iter(list(orders(int(line[1]), fail=failing, tag=f"{line[0]}-{number}")))
        if line[0] == "throughput":
            _say(await _throughput(run_one, given, int(line[1]), in_flight, "compensated" if failing else "completed"))
        else:
            _say(await _latency(run_one, given))


async def _throughput(
    run_one: RunOne, given: Iterator[Order], sagas: int, in_flight: int, expected: str
) -> dict[str, float]:
    async def one_after_the_other() -> None:
        for order in given:
            ended = await run_one(order)
            if ended != expected:
                raise RuntimeError(f"a saga should have {expected}; it {ended}")

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(one_after_the_other())
    return {"sagas_per_s": sagas / (time.perf_counter() - began), "sagas": sagas}


async def _latency(run_one: RunOne, given: Iterator[Order]) -> dict[str, float]:
    took = []
    for order in given:
        began = time.perf_counter()
        await run_one(order)
        took.append(time.perf_counter() - began)
    parts = quantiles(took, n=100, method="inclusive")
    return {"p50_ms": parts[49] * 1e3, "p99_ms": parts[98] * 1e3, "sagas": len(took)}


def _say(said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
