"""Keeps one projection up to date: woken by the doorbell, and by sweeps that find what no bell told.

Owns when to look and when to try again. What is read and written is done in threads, by `UnseenEvents` and `Taker`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from saga_engine.errors import UnavailableError
from saga_engine.ports.events import EventBell
from saga_engine.ports.store import EventStore, RunSync
from saga_engine.projections.sweep import Page, Sweep
from saga_engine.projections.taking import Taken, Taker
from saga_engine.projections.unseen import UnseenEvents

BATCH: Final = 200
"""Sagas in one transaction."""

_MOST_HEARD: Final = 100_000
"""Sagas that are remembered to have news. Beyond that, looking through all of them finds them as well."""

_FIRST_AGAIN_S: Final = 5.0
_LAST_AGAIN_S: Final = 300.0
_OUTAGE_S: Final = 1.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds from one look at what is going on to the next (`recent`), and at everything there is (`all`)."""

    recent: float = 5.0
    all: float = 600.0


@dataclass(slots=True)
class _Again:
    """When a saga that is held back is tried again."""

    due: float
    wait: float


class Follower:
    """Follows the sagas' streams until `stop`. Any number may follow for one projection."""

    def __init__(
        self,
        taker: Taker,
        store: EventStore,
        unseen: UnseenEvents,
        bell: EventBell,
        subjects: Sequence[str],
        run_sync: RunSync,
        pace: Pace,
    ) -> None:
        self._taker = taker
        self._sweep = Sweep(store, taker)
        self._unseen = unseen
        self._bell = bell
        self._subjects = subjects
        self._run_sync = run_sync
        self._pace = pace
        self._heard: dict[UUID, None] = {}
        self._news = asyncio.Event()
        self._stopping = False
        self._again: dict[UUID, _Again] = {}
        self._next_recent = self._next_all = 0.0
        self._log = _log.bind(projection=taker.projection.name)
        self.events = 0
        """Events that were taken in."""

    @property
    def name(self) -> str:
        """The projection's."""
        return self._taker.projection.name

    async def stop(self) -> None:
        """Finish the transaction under way, and end `run`."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        """Follow until `stop`. An outage of a database is waited out."""
        await self._bell.listen(f"projection_{self._taker.projection.name}", self._subjects, self._hear)
        outage = False
        while not self._stopping:
            try:
                await self._work()
                if outage:
                    self._log.info("the databases serve again")
                outage = False
            except UnavailableError as error:
                if not outage:
                    self._log.warning("waiting for the database", error=str(error))
                outage = True
                # What was heard meanwhile may be lost by halves: everything is looked at.
                self._next_all = 0.0
                await self._wait(_OUTAGE_S)
        self._log.info("the projection is no longer followed", events=self.events)

    def _hear(self, saga_id: UUID) -> None:
        if len(self._heard) < _MOST_HEARD:
            self._heard[saga_id] = None
        else:
            self._next_all = 0.0
        self._news.set()

    async def _work(self) -> None:
        now = asyncio.get_running_loop().time()
        # Before what was heard: bells that never fall silent tell nothing of sagas that publish nothing.
        if now >= self._next_all:
            # Said first: what is heard meanwhile and cannot be remembered asks for the next look.
            self._next_all = self._in(self._pace.all)
            await self._look(self._sweep.all())
            self._next_recent = self._in(self._pace.recent)
        elif now >= self._next_recent:
            await self._look(self._sweep.recent())
            self._next_recent = self._in(self._pace.recent)
        elif self._heard:
            await self._take_heard()
        else:
            await self._wait(min(self._next_recent, self._next_all) - now)

    def _in(self, seconds: float) -> float:
        return asyncio.get_running_loop().time() + seconds

    async def _wait(self, seconds: float) -> None:
        if self._stopping:
            return
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _take_heard(self) -> None:
        batch = [saga_id for saga_id, _ in zip(self._heard, range(BATCH), strict=False)]
        for saga_id in batch:
            del self._heard[saga_id]
        known = await self._run_sync(lambda: self._taker.checkpoints.of(self._taker.engine, batch))
        after = {one: known[one].version if one in known else 0 for one in self._willing(batch)}
        await self._take(after)

    async def _look(self, pages: Iterator[Page]) -> None:
        """Take in what a sweep finds, page by page, and between two pages some of what is heard meanwhile."""
        while not self._stopping and (page := await self._run_sync(lambda: next(pages, None))) is not None:
            behind = {one.head.stream_id: one.version for one in page.behind}
            willing = self._willing(behind)
            for start in range(0, len(willing), BATCH):
                await self._take({one: behind[one] for one in willing[start : start + BATCH]})
            if self._heard and not self._stopping:
                await self._take_heard()

    def _willing(self, saga_ids: Iterable[UUID]) -> list[UUID]:
        """Those that are not held back, or whose time has come."""
        now = asyncio.get_running_loop().time()
        return [one for one in saga_ids if one not in self._again or self._again[one].due <= now]

    async def _take(self, after: Mapping[UUID, int]) -> None:
        if after:
            taken = await self._run_sync(lambda: self._read_and_take(after))
            self.events += taken.events
            self._note(after, taken)

    def _read_and_take(self, after: Mapping[UUID, int]) -> Taken:
        wanted = self._taker.projection.sagas
        unseen = [one for one in self._unseen.read(after) if not wanted or one.head.saga in wanted]
        return self._taker.take([one for one in unseen if one.happened or one.trouble is not None])

    def _note(self, tried: Iterable[UUID], taken: Taken) -> None:
        now = asyncio.get_running_loop().time()
        for saga_id in tried:
            if saga_id not in taken.troubled:
                self._again.pop(saga_id, None)
                continue
            wait = min(self._again[saga_id].wait * 2, _LAST_AGAIN_S) if saga_id in self._again else _FIRST_AGAIN_S
            self._again[saga_id] = _Again(now + wait, wait)
