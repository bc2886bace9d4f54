"""Keeping a read model up to date: woken by the bell, and finding by itself what no bell told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar
from uuid import UUID

import pytest

from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import RunSync
from saga_engine.projections.follower import Follower, Pace
from saga_engine.projections.taking import Taken
from saga_engine.projections.unseen import Unseen
from tests.integration.projections.orders import Orders, View

T = TypeVar("T")
DEADLINE: Final = 90.0
NEVER: Final = Pace(recent=3600.0, all=3600.0)


class HandBell:
    """A bell that a test rings."""

    def __init__(self) -> None:
        self.shares: list[str] = []
        self._heard: list[Callable[[UUID], None]] = []

    async def listen(self, share: str, subjects: Sequence[str], heard: Callable[[UUID], None]) -> None:
        self.shares.append(share)
        self._heard.append(heard)

    def ring(self, sagas: Sequence[UUID]) -> None:
        for saga in sagas:
            for heard in self._heard:
                heard(saga)


def inline(call: Callable[[], T], /) -> Awaitable[T]:
    async def run() -> T:
        await asyncio.sleep(0)
        return call()

    return run()


@asynccontextmanager
async def following(view: View, bell: HandBell, pace: Pace) -> AsyncIterator[Follower]:
    follower = Follower(view.taker, view.store, view.unseen, bell, (), inline, pace)
    running = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        await follower.stop()
        await asyncio.wait_for(running, DEADLINE)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not reached():  # noqa: ASYNC110 - what is awaited stands in a database, which sets no asyncio.Event
            await asyncio.sleep(0.01)


def shown(view: View, status: str) -> int:
    return len([row for row in view.rows() if row[4] == status])


async def test_all_there_is_is_taken_at_the_start_and_then_what_the_bell_tells(orders: Orders, view: View) -> None:
    bell = HandBell()
    orders.finish(range(20))
    async with following(view, bell, NEVER):
        await until(lambda: shown(view, "approved") == 16)
        sagas = orders.start(range(100, 105))
        orders.create(sagas)
        assert shown(view, "pending") == 0
        bell.ring([*sagas, *sagas])
        await until(lambda: shown(view, "pending") == 5)
    assert bell.shares == ["projection_order_view"]


async def test_what_no_bell_told_is_found(orders: Orders, view: View) -> None:
    async with following(view, HandBell(), Pace(recent=0.05, all=3600.0)) as follower:
        # New ones by their ids; those that are known by their ends, which were not seen.
        sagas = orders.start(range(30))
        orders.create(sagas)
        await until(lambda: shown(view, "pending") == 30)
        orders.pay(sagas)
        orders.approve(sagas)
        await until(lambda: shown(view, "approved") == 30)
        await until(lambda: follower.events == sum(one.version for one in orders.store.heads(sagas).values()))


async def test_a_saga_below_known_ones_is_found_when_everything_is_looked_at(orders: Orders, view: View) -> None:
    old, *new = orders.start(range(3))
    view.take(new)
    async with following(view, HandBell(), NEVER) as follower:
        await until(lambda: follower.events == 2)
    assert view.taker.checkpoints.of(view.engine, [old])[old].version == 2


async def test_an_outage_is_waited_out_and_nothing_is_lost(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, refused = view.taker.take, 0

    def unserved(unseen: Sequence[Unseen]) -> Taken:
        nonlocal refused
        refused += 1
        if refused <= 2:
            raise StoreUnavailableError("the database is shutting down")
        return take(unseen)

    monkeypatch.setattr("saga_engine.projections.follower._OUTAGE_S", 0.01)
    monkeypatch.setattr(view.taker, "take", unserved)
    bell = HandBell()
    async with following(view, bell, NEVER):
        sagas = orders.start(range(4))
        orders.create(sagas)
        bell.ring(sagas)
        await until(lambda: shown(view, "pending") == 4)
    assert refused >= 3


async def test_a_saga_that_is_held_back_is_tried_again_later_and_keeps_nobody_waiting(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.projections.follower._FIRST_AGAIN_S", 0.1)
    take, tried = view.taker.take, list[UUID]()
    held, free = orders.start([1, 2])
    orders.create([held, free])

    def picky(unseen: Sequence[Unseen]) -> Taken:
        tried.extend(one.head.stream_id for one in unseen)
        if tried.count(held) > 2:
            return take(unseen)
        taken = take([one for one in unseen if one.head.stream_id != held])
        return Taken(taken.sagas, taken.events, {one.head.stream_id: "no" for one in unseen} if held in tried else {})

    monkeypatch.setattr(view.taker, "take", picky)
    async with following(view, HandBell(), Pace(recent=0.02, all=3600.0)):
        await until(lambda: shown(view, "pending") == 2)
    assert tried.count(held) == 3


async def test_bells_that_never_fall_silent_do_not_keep_it_from_looking_by_itself(orders: Orders, view: View) -> None:
    bell = HandBell()
    (told,) = orders.start([1])
    follower = Follower(view.taker, view.store, view.unseen, bell, (), ringing(bell, told), Pace(0.02, 3600.0))
    running = asyncio.create_task(follower.run())
    await until(lambda: follower.events == 2)
    untold = orders.start(range(100, 130))
    orders.create(untold)
    await until(lambda: shown(view, "pending") == 30)
    await follower.stop()
    await asyncio.wait_for(running, DEADLINE)


def ringing(bell: HandBell, saga: UUID) -> RunSync:
    """Work during which the bell rings, so that there is always something that was told."""

    def run_sync(call: Callable[[], T], /) -> Awaitable[T]:
        bell.ring([saga])
        return inline(call)

    return run_sync


async def test_what_is_told_and_cannot_be_remembered_while_all_are_looked_at_is_found_by_another_look(
    orders: Orders, view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.projections.follower._MOST_HEARD", 0)
    bell = HandBell()
    orders.finish(range(3))
    read, later = view.unseen.read, list[UUID]()

    def reading(after: Mapping[UUID, int]) -> list[Unseen]:
        found = read(after)
        if not later:
            later.extend(orders.start([7]))
            bell.ring(later)
        return found

    monkeypatch.setattr(view.unseen, "read", reading)
    async with following(view, bell, NEVER):
        await until(lambda: bool(view.taker.checkpoints.of(view.engine, later)) if later else False)
