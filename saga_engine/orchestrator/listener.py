"""The process manager's ear: receives domain events, has them taken, and settles each by what came of it.

Owns the order: acknowledged after the commit, put back while there is hope, then a dead letter. Decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import structlog

from saga_engine.envelope import partition_of
from saga_engine.errors import TransportUnavailableError
from saga_engine.orchestrator.event_letters import event_letter
from saga_engine.orchestrator.verdicts import Done, Hopeless, Later, Verdict
from saga_engine.ports.clock import Clock
from saga_engine.ports.events import EventFeed, EventSubscription, HeardEvent, Listening
from saga_engine.ports.store import RunSync
from saga_engine.ports.transport import Transport
from saga_engine.tasks import end_tasks

_log = structlog.get_logger(__name__)

PATIENCE_US: Final = 3_600_000_000
"""For how long an event is put back whose saga is not there yet."""

_BATCH: Final = 200
_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 60.0
_MOST_DOUBLINGS: Final = 10
_LISTEN_AGAIN: Final = 5.0
_MOST_WAITED_FOR: Final = 100_000
"""Events of which it is known since when they wait."""

Take: TypeAlias = Callable[[Sequence[HeardEvent]], Sequence[Verdict]]


class Listener:
    """Listens for all of `wanted` until `stop`. `take` blocks, and is called in `run_sync`, once at a time."""

    def __init__(
        self,
        feed: EventFeed,
        transport: Transport,
        wanted: Sequence[Listening],
        take: Take,
        clock: Clock,
        run_sync: RunSync,
    ) -> None:
        self._feed = feed
        self._transport = transport
        self._wanted = wanted
        self._take = take
        self._clock = clock
        self._run_sync = run_sync
        self._stopping = asyncio.Event()
        self._complaint = ""
        self._since: dict[tuple[str, int], int] = {}
        """Since when an event has waited for its saga: by whom it is for and when the broker got it."""
        self.counts: Counter[str] = Counter()
        """How many events were `taken`, `ignored`, `put_back` and `dead`."""

    async def run(self) -> None:
        """Take events until `stop`; outages of store and broker are waited out."""
        while not self._stopping.is_set():
            try:
                await self._listen(await self._feed.listen(self._wanted))
            except TransportUnavailableError as error:
                self._complain(str(error))
                await self._pause()

    async def stop(self) -> None:
        """Finish what is under way, and end `run`."""
        self._stopping.set()

    async def _listen(self, subscription: EventSubscription) -> None:
        self._complaint = ""
        stopping = asyncio.create_task(self._stopping.wait())
        receiving: asyncio.Task[Sequence[HeardEvent]] | None = None
        try:
            while not self._stopping.is_set():
                receiving = asyncio.create_task(subscription.receive(_BATCH))
                await asyncio.wait((receiving, stopping), return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    await self._settle(subscription, receiving.result())
        finally:
            await end_tasks([task for task in (stopping, receiving) if task is not None])
            await subscription.close()

    async def _settle(self, subscription: EventSubscription, heard: Sequence[HeardEvent]) -> None:
        taken = await self._taken(heard)
        judged = [(event, self._judged(event, verdict)) for event, verdict in zip(heard, taken, strict=True)]
        hopeless = [(event, verdict.reason) for event, verdict in judged if isinstance(verdict, Hopeless)]
        buried = await self._bury(hopeless)
        done = [event for event, verdict in judged if isinstance(verdict, Done)]
        await subscription.ack([*done, *(event for (event, _), ok in zip(hopeless, buried, strict=True) if ok)])
        again = [(event, verdict.reason) for event, verdict in judged if isinstance(verdict, Later)]
        again += [one for one, ok in zip(hopeless, buried, strict=True) if not ok]
        await self._put_back(subscription, again)
        new = [verdict.saga_id for _, verdict in judged if isinstance(verdict, Done) and verdict.saga_id is not None]
        self.counts["taken"] += len(new)
        self.counts["ignored"] += len(done) - len(new)
        if new:
            await self._transport.ring(sorted({partition_of(saga_id) for saga_id in new}))

    async def _taken(self, heard: Sequence[HeardEvent]) -> Sequence[Verdict]:
        try:
            return await self._run_sync(lambda: self._take(heard))
        except Exception as error:  # noqa: BLE001 - a defect that one event uncovers must not stop all others
            if len(heard) == 1:
                subject = heard[0].delivery.message.subject
                _log.error("an event cannot be taken", subject=subject, listening=heard[0].listening, exc_info=error)
                return [Later(f"{type(error).__name__}: {error}")]
        # Taking one twice does no harm: the second time it is a repetition.
        return [verdict for one in heard for verdict in await self._taken([one])]

    def _judged(self, event: HeardEvent, verdict: Verdict) -> Verdict:
        """An event that was put back for long enough is hopeless."""
        name = (event.listening, event.at)
        if not isinstance(verdict, Later):
            self._since.pop(name, None)
            return verdict
        if verdict.outage:
            return verdict
        # Not since the broker has it: the saga's start may have lain there beside it while nobody listened.
        now = self._clock.now()
        since = self._since.get(name, now)
        if now - since >= PATIENCE_US:
            return Hopeless(f"it was put back for an hour: {verdict.reason}")
        self._since[name] = since
        if len(self._since) > _MOST_WAITED_FOR:
            # The first of all: taken elsewhere by now, or it waits for another hour.
            del self._since[next(iter(self._since))]
        return verdict

    async def _bury(self, hopeless: Sequence[tuple[HeardEvent, str]]) -> Sequence[bool]:
        """Make dead letters; for each whether the broker has it."""
        letters = [event_letter(event, reason) for event, reason in hopeless]
        buried = await self._transport.publish(letters) if letters else []
        for (event, reason), ok in zip(hopeless, buried, strict=True):
            if ok:
                self._since.pop((event.listening, event.at), None)
                self.counts["dead"] += 1
                _log.warning("an event led to nothing", subject=event.delivery.message.subject, reason=reason)
        return buried

    async def _put_back(self, subscription: EventSubscription, again: Sequence[tuple[HeardEvent, str]]) -> None:
        by_delay: dict[float, list[HeardEvent]] = {}
        for event, reason in again:
            by_delay.setdefault(_delay(event.delivery.deliveries), []).append(event)
            _log.debug("an event is put back", subject=event.delivery.message.subject, reason=reason)
        for delay, events in by_delay.items():
            await subscription.retry_later(events, delay)
        self.counts["put_back"] += len(again)

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN_AGAIN):
                await self._stopping.wait()

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            _log.warning("events cannot be listened for", reason=reason)
        self._complaint = reason


def _delay(deliveries: int) -> float:
    """Seconds until an event comes again: doubled each time."""
    return min(_FIRST_DELAY * (1 << min(deliveries - 1, _MOST_DOUBLINGS)), _LONGEST_DELAY)
