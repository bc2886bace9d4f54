"""Handlers' threads: who gets a call, what waits, and what becomes of a thread that hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from saga_engine.participant.threads import HandlerThreads

PATIENCE_S = 60.0


@pytest.fixture
def threads() -> Iterator[HandlerThreads]:
    threads = HandlerThreads("test", 2)
    yield threads
    threads.close()


async def test_calls_that_find_no_thread_wait_in_their_order(threads: HandlerThreads) -> None:
    released, begun = threading.Event(), threading.Barrier(3)
    order: list[int] = []

    def hold() -> None:
        begun.wait(PATIENCE_S)
        assert released.wait(PATIENCE_S)

    held = [threads(hold) for _ in range(2)]
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    one_more = HandlerThreads("single", 1)
    later = [one_more(lambda n=n: order.append(n)) for n in range(20)]  # type: ignore[misc]
    waiting = threads(lambda: order.append(-1))
    await asyncio.gather(*later)
    assert order == [*range(20)]
    released.set()
    await asyncio.gather(*held, waiting)
    assert order[-1] == -1
    one_more.close()


async def test_a_thread_that_hangs_is_replaced_and_ends_when_it_is_free_again() -> None:
    threads = HandlerThreads("test", 1)
    released = threading.Event()
    hanging = threads(lambda: released.wait(PATIENCE_S))
    behind = threads(lambda: "done")
    threads.replace_one()
    assert await asyncio.wait_for(behind, PATIENCE_S) == "done"
    released.set()
    assert await asyncio.wait_for(hanging, PATIENCE_S)
    threads.take_back()
    assert [await threads(lambda: 1) for _ in range(10)] == [1] * 10
    threads.close()


async def test_an_error_of_a_call_reaches_who_waits_for_it_and_its_thread_goes_on(threads: HandlerThreads) -> None:
    def fail() -> None:
        raise KeyError("missing")

    for _ in range(5):
        with pytest.raises(KeyError, match="missing"):
            await threads(fail)
    assert await threads(lambda: 7) == 7
