"""Coroutines that are begun without a task: what they see is what they would see in one."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from saga_engine.participant.stepping import Ended, Waiting, begin

current: ContextVar[str] = ContextVar("current", default="nobody's")


async def test_a_coroutine_that_never_waits_has_ended_at_once() -> None:
    async def quick() -> int:
        return 1

    assert begin(quick()) == Ended(1)


async def test_its_exception_is_raised_at_once() -> None:
    async def broken() -> None:
        raise LookupError("no such account")

    with pytest.raises(LookupError, match="no such account"):
        begin(broken())


async def test_one_that_waits_is_continued_when_it_is_awaited() -> None:
    ready = asyncio.get_running_loop().create_future()

    async def waiting() -> list[int]:
        seen = [await ready]
        await asyncio.sleep(0)
        return [*seen, 2]

    rest = begin(waiting())
    assert isinstance(rest, Waiting)
    asyncio.get_running_loop().call_soon(ready.set_result, 1)
    assert await rest == [1, 2]


async def test_what_goes_wrong_later_is_raised_to_who_awaits_it_and_can_be_caught_inside() -> None:
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def broken() -> None:
        try:
            await first
        except LookupError as error:
            await asyncio.sleep(0)
            raise ValueError("told in other words") from error

    rest = begin(broken())
    assert isinstance(rest, Waiting)
    first.set_exception(LookupError("no such account"))
    with pytest.raises(ValueError, match="other words"):
        await rest


async def test_the_task_that_awaits_it_is_the_current_one_all_along() -> None:
    async def tasks() -> list[object]:
        seen: list[object] = [asyncio.current_task()]
        await asyncio.sleep(0)
        return [*seen, asyncio.current_task()]

    rest = begin(tasks())
    assert isinstance(rest, Waiting)
    assert await rest == [asyncio.current_task()] * 2


async def test_a_time_limit_that_is_entered_before_the_first_wait_holds_after_it() -> None:
    async def limited() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "stopped"
        return "went on"

    rest = begin(limited())
    assert isinstance(rest, Waiting)
    assert await rest == "stopped"


async def test_cancelling_who_awaits_it_cancels_it() -> None:
    ended = False

    async def waiting() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            ended = True

    async def run() -> None:
        rest = begin(waiting())
        assert isinstance(rest, Waiting)
        await rest

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_context_variables_are_those_of_its_context_before_and_after_it_waits() -> None:
    async def setting(name: str) -> list[str]:
        seen = [current.get()]
        current.set(name)
        await asyncio.sleep(0)
        return [*seen, current.get()]

    first, second = begin(setting("first"), copy_context()), begin(setting("second"), copy_context())
    assert isinstance(first, Waiting)
    assert isinstance(second, Waiting)
    assert await first == ["nobody's", "first"]
    assert await second == ["nobody's", "second"]
    assert current.get() == "nobody's"
