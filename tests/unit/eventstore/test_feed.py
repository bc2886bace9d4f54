"""Followers are woken by the bell and by the look at the store, and are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import pytest

from saga_engine.errors import StoreUnavailableError
from saga_engine.eventstore.event import Aggregate
from saga_engine.eventstore.feed import Feed, TooManyFollowersError
from saga_engine.orchestrator.inline import inline
from saga_engine.tasks import end_tasks

ORDER = Aggregate("o-1", "order")


class Versions:
    """A store's versions, which may fail."""

    def __init__(self) -> None:
        self.known: dict[Aggregate, int] = {}
        self.failures = 0

    def __call__(self, aggregate_ids: Collection[str]) -> Mapping[Aggregate, int]:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("away")
        return {aggregate: version for aggregate, version in self.known.items() if aggregate.id in aggregate_ids}


async def test_the_bell_wakes_those_who_follow_that_aggregate_and_nobody_else() -> None:
    feed = Feed(Versions(), inline)
    with feed.follow("o-1") as follower, feed.follow("o-2") as other:
        feed.ring({"o-1", "o-3"})
        await asyncio.wait_for(follower.news(), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.news(), 0.01)


async def test_the_look_at_the_store_wakes_who_has_not_been_told_all_also_after_an_outage() -> None:
    versions = Versions()
    feed = Feed(versions, inline, interval=0.005)
    looking = asyncio.create_task(feed.run())
    with feed.follow("o-1") as told, feed.follow("o-1") as behind:
        told.reached["order"], behind.reached["order"] = 2, 1
        versions.failures = 3
        versions.known[ORDER] = 2
        await asyncio.wait_for(behind.news(), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.news(), 0.05)
    await end_tasks([looking])


async def test_the_look_at_the_store_wakes_nobody_for_a_type_that_was_not_asked_for() -> None:
    versions = Versions()
    versions.known |= {ORDER: 1, Aggregate("o-1", "payment"): 1}
    feed = Feed(versions, inline, interval=0.005)
    looking = asyncio.create_task(feed.run())
    with feed.follow("o-1", "order") as told, feed.follow("o-1") as behind:
        told.reached["order"] = behind.reached["order"] = 1
        await asyncio.wait_for(behind.news(), 30)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(told.news(), 0.05)
    await end_tasks([looking])


async def test_what_comes_while_the_store_is_read_is_not_missed() -> None:
    feed = Feed(Versions(), inline)
    with feed.follow("o-1") as follower:
        follower.seen()
        feed.ring({"o-1"})
        await asyncio.wait_for(follower.news(), 30)


async def test_no_more_may_follow_than_there_is_room_for_and_who_ends_makes_room() -> None:
    feed = Feed(Versions(), inline, most=2)
    with feed.follow("o-1"):
        with feed.follow("o-1"), pytest.raises(TooManyFollowersError), feed.follow("o-2"):
            pass
        with feed.follow("o-2"):
            pass


async def test_all_who_follow_are_woken_when_the_feed_closes() -> None:
    feed = Feed(Versions(), inline)
    with feed.follow("o-1") as one, feed.follow("o-2") as other:
        feed.close()
        await asyncio.wait_for(asyncio.gather(one.news(), other.news()), 30)
    assert feed.closed
