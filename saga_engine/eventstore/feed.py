"""Tells those who follow aggregates that there is something new.

By a bell within the process; by a look at the store every so often for what other processes have written. Carries no
event: whoever is woken reads the store.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog

from saga_engine.errors import UnavailableError
from saga_engine.eventstore.event import Aggregate
from saga_engine.ports.store import RunSync

MOST_FOLLOWERS: Final = 1_000

_log = structlog.get_logger(__name__)


class TooManyFollowersError(Exception):
    """As many follow as may."""


class Follower:
    """One who follows the aggregates of an id, or of these only the one of a `type`, if it is not empty.

    `reached`: by type, the version up to which it has been told.
    """

    def __init__(self, type: str) -> None:
        self._type = type
        self.reached: dict[str, int] = {}
        self._news = asyncio.Event()

    def seen(self) -> None:
        """To be called before the store is read, so that what comes while it is read is not missed."""
        self._news.clear()

    def lacks(self, aggregate: Aggregate, version: int) -> bool:
        """Whether it wants to be told of that aggregate, and has not been up to that version."""
        return self._type in ("", aggregate.type) and version > self.reached.get(aggregate.type, 0)

    def wake(self) -> None:
        self._news.set()

    async def news(self) -> None:
        """Wait until there may be something new, or the feed has closed."""
        await self._news.wait()


class Feed:
    """`versions` is the library's. `interval`: seconds between two looks."""

    def __init__(
        self,
        versions: Callable[[Collection[str]], Mapping[Aggregate, int]],
        run_sync: RunSync,
        interval: float = 0.5,
        most: int = MOST_FOLLOWERS,
    ) -> None:
        self._versions = versions
        self._run_sync = run_sync
        self._interval = interval
        self._most = most
        self._followers: defaultdict[str, set[Follower]] = defaultdict(set)
        self._count = 0
        self.closed = False
        """Set when the server shuts down: followers end."""

    @property
    def followers(self) -> int:
        """How many follow."""
        return self._count

    @contextmanager
    def follow(self, aggregate_id: str, type: str = "") -> Iterator[Follower]:
        """Follow the aggregates of that id, or the one of a type among them. Raises `TooManyFollowersError`."""
        if self._count >= self._most:
            raise TooManyFollowersError
        follower = Follower(type)
        self._count += 1
        self._followers[aggregate_id].add(follower)
        try:
            yield follower
        finally:
            self._count -= 1
            self._followers[aggregate_id].discard(follower)
            if not self._followers[aggregate_id]:
                del self._followers[aggregate_id]

    def ring(self, aggregate_ids: Collection[str]) -> None:
        """There is something new in aggregates of these ids."""
        for aggregate_id in aggregate_ids:
            for follower in self._followers.get(aggregate_id, ()):
                follower.wake()

    def close(self) -> None:
        """Let all who follow end."""
        self.closed = True
        self.ring(list(self._followers))

    async def run(self) -> None:
        """Look every so often, until cancelled. A store that does not serve is waited out."""
        complained = False
        while True:
            await asyncio.sleep(self._interval)
            if not self._followers:
                continue
            try:
                found = await self._run_sync(partial(self._versions, list(self._followers)))
            except UnavailableError as error:
                if not complained:
                    _log.warning("followers of events wait for the store", reason=str(error))
                complained = True
                continue
            complained = False
            for aggregate, version in found.items():
                for follower in self._followers.get(aggregate.id, ()):
                    if follower.lacks(aggregate, version):
                        follower.wake()
