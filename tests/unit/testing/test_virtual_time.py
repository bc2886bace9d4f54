"""The virtual-time loop: it jumps instead of waiting, keeps asyncio's order, and says so when nothing can happen."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from saga_engine.testing.virtual_time import BEGIN, DeadlockError, VirtualClock, VirtualLoop, run

YEAR_S = 365 * 86_400.0


async def loop_time() -> float:
    return asyncio.get_running_loop().time()


def test_a_hundred_years_of_sleep_take_no_time() -> None:
    async def sleeps() -> float:
        await asyncio.sleep(100 * YEAR_S)
        return await loop_time()

    before = time.monotonic()
    assert run(sleeps()) == pytest.approx(100 * YEAR_S)
    assert time.monotonic() - before < 60


def test_sleepers_wake_in_the_order_of_their_times_and_then_of_their_calls() -> None:
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(name)

    async def all_of_them() -> None:
        await asyncio.gather(sleeper("c", 2), sleeper("a", 1), sleeper("d", 2), sleeper("b", 1))

    run(all_of_them())
    assert woken == ["a", "b", "c", "d"]


def test_a_timeout_is_met_at_its_very_time() -> None:
    async def waits() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(12.5):
                await asyncio.Event().wait()
        return await loop_time()

    assert run(waits()) == 12.5


def test_waiting_for_what_never_comes_is_reported_with_the_tasks_that_wait() -> None:
    async def waits() -> None:
        asyncio.current_task().set_name("the one that waits")  # type: ignore[union-attr] # it runs as a task
        await asyncio.sleep(3)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError, match=r"after 3\.0 s(.|\n)*the one that waits"):
        run(waits())


def test_a_blocking_call_is_made_at_once_and_in_this_thread() -> None:
    async def asks() -> tuple[int, float]:
        return await asyncio.to_thread(threading.get_ident), await loop_time()

    assert run(asks()) == (threading.get_ident(), 0.0)


def test_an_error_of_a_blocking_call_reaches_who_awaits_it() -> None:
    def fails() -> None:
        raise LookupError("nothing there")

    async def asks() -> None:
        await asyncio.to_thread(fails)

    with pytest.raises(LookupError, match="nothing there"):
        run(asks())


def test_there_is_no_network() -> None:
    one, other = socket.socketpair()

    async def listens() -> None:
        asyncio.get_running_loop().add_reader(one, lambda: None)

    with one, other, pytest.raises(RuntimeError, match="no network in virtual time"):
        run(listens())


def test_the_clock_counts_microseconds_from_a_fixed_beginning() -> None:
    async def tells() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop)
        before = clock.now()
        await clock.sleep(0.000_25)
        return before, clock.now()

    assert run(tells()) == (BEGIN, BEGIN + 250)


def test_settling_runs_what_can_run_and_says_when_something_is_next() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        done: list[str] = []
        loop.call_soon(lambda: loop.call_soon(done.append, "now"))
        loop.call_later(5, done.append, "later")
        loop.settle()
        assert (done, loop.time(), loop.idle_until) == (["now"], 0.0, 5.0)
        loop.advance(4)
        loop.settle()
        assert (done, loop.idle_until) == (["now"], 5.0)
        loop.advance(7)
        loop.settle()
        assert (done, loop.time(), loop.idle_until) == (["now", "later"], 7.0, None)


def test_time_never_goes_back() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(4)
        loop.advance(3)
        assert loop.time() == 4
