"""Looks: one at a time, bounded, no older than asked for. In virtual time."""

from __future__ import annotations

import asyncio

import pytest

from saga_engine.metrics.looks import Look
from saga_engine.testing.virtual_time import run


class Counted:
    """Something to look at that takes `takes` seconds, and finds how often it was looked at."""

    def __init__(self, takes: float = 0.0) -> None:
        self.takes = takes
        self.times = 0
        self.there = True

    async def look(self) -> int | None:
        self.times += 1
        await asyncio.sleep(self.takes)
        return self.times if self.there else None


def test_what_was_found_is_told_until_it_is_too_old() -> None:
    async def asking() -> None:
        counted = Counted()
        look = Look(counted.look, fresh_s=10.0)
        assert [await look.found(), await look.found()] == [1, 1]
        await asyncio.sleep(11)
        assert await look.found() == 2

    run(asking())


def test_what_was_not_found_is_looked_for_again_by_whoever_asks_next() -> None:
    async def asking() -> None:
        counted = Counted()
        counted.there = False
        look = Look(counted.look, fresh_s=10.0)
        assert await look.found() is None
        counted.there = True
        assert await look.found() == 2

    run(asking())


def test_many_who_ask_share_one_look_and_wait_for_it_no_longer_than_its_limit() -> None:
    async def asking() -> None:
        counted = Counted(takes=60.0)
        look = Look(counted.look, fresh_s=10.0, within_s=2.0)
        began = asyncio.get_running_loop().time()
        assert await asyncio.gather(*(look.found() for _ in range(100))) == [None] * 100
        assert await look.found() is None
        assert asyncio.get_running_loop().time() - began <= 4.1
        assert counted.times == 1
        await asyncio.sleep(60)
        assert await look.found() == 1, "the look that took long has found something in the end"
        await look.close()

    run(asking())


def test_a_look_that_hangs_keeps_nobody_from_ending() -> None:
    async def asking() -> None:
        look = Look(Counted(takes=1e9).look, fresh_s=1.0)
        assert await look.found() is None
        await look.close()
        assert asyncio.get_running_loop().time() < 10

    run(asking())


def test_a_defect_of_a_look_is_told_to_whoever_asks() -> None:
    async def broken() -> int | None:
        raise RuntimeError("a defect")

    async def asking() -> None:
        look = Look(broken, fresh_s=1.0)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="a defect"):
                await look.found()

    run(asking())
