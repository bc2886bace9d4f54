"""Publishes stored events, those of an aggregate one after the other, until the broker has acknowledged each.

What is not published yet is read from the store: a bell says that there is something, a look every so often finds what
no bell told. Several servers may do this at once: the message id is the event's id, which JetStream takes once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final
from urllib.parse import quote

import structlog

from saga_engine.envelope import Message
from saga_engine.errors import UnavailableError
from saga_engine.eventstore.event import Aggregate, StoredEvent
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.moments import rfc3339
from saga_engine.ports.store import RunSync
from saga_engine.ports.transport import Transport
from saga_engine.wire.headers import MESSAGE_ID

_PAGE: Final = 100
_PLAIN: Final = " -._~"
"""What CloudEvents leaves as it is in a header, beside letters and digits."""

_log = structlog.get_logger(__name__)


class Relay:
    """`interval`: seconds between two looks when no bell rings, and before a refused event is tried again."""

    def __init__(self, store: SqlDomainEvents, transport: Transport, run_sync: RunSync, interval: float = 1.0) -> None:
        self._store = store
        self._transport = transport
        self._run_sync = run_sync
        self._interval = interval
        self._bell = asyncio.Event()
        self._complained = False
        self.published = 0
        """Events that the broker has acknowledged."""
        self.behind = 0
        """Aggregates that had to be left behind at the last try."""

    def ring(self) -> None:
        """There is something to publish."""
        self._bell.set()

    async def run(self) -> None:
        """Publish until cancelled. Outages of the store and the broker are waited out."""
        while True:
            self._bell.clear()
            try:
                behind = self.behind = await self.publish()
            except UnavailableError as error:
                self._complain(str(error))
            else:
                if behind:
                    self._complain(f"{behind} aggregates have an event that the broker did not acknowledge")
                else:
                    self._complained = False
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._interval):
                            await self._bell.wait()
                    continue
            await asyncio.sleep(self._interval)

    async def publish(self) -> int:
        """Publish all that is unpublished now; how many aggregates had to be left behind."""
        behind = 0
        after: Aggregate | None = None
        while page := await self._run_sync(partial(self._store.unpublished, after, _PAGE)):
            streams = {aggregate: list(events) for aggregate, events in groupby(page, lambda one: one.event.aggregate)}
            reached, refused = await self._publish(streams)
            if reached:
                await self._run_sync(partial(self._store.mark_published, reached))
            behind += len(refused)
            if len(page) < _PAGE:
                break
            # The last one may have more events than the page held: unless it was refused, it is read once more.
            *others, last = streams
            after = last if last in refused else others[-1] if others else after
        return behind

    async def _publish(
        self, streams: Mapping[Aggregate, Sequence[StoredEvent]]
    ) -> tuple[Mapping[Aggregate, int], set[Aggregate]]:
        """Publish these in waves of one event each; how far each aggregate came, and which were refused."""
        reached: dict[Aggregate, int] = {}
        refused: set[Aggregate] = set()
        for number in range(max(map(len, streams.values()))):
            wave = [
                events[number]
                for aggregate, events in streams.items()
                if number < len(events) and aggregate not in refused
            ]
            acknowledged = await self._transport.publish([message_of(stored) for stored in wave])
            for stored, taken in zip(wave, acknowledged, strict=True):
                if taken:
                    self.published += 1
                    reached[stored.event.aggregate] = stored.version
                else:
                    refused.add(stored.event.aggregate)
        return reached, refused

    def _complain(self, reason: str) -> None:
        """Once, until all is well again."""
        if not self._complained:
            _log.warning("stored events wait to be published", reason=reason)
        self._complained = True


def message_of(stored: StoredEvent) -> Message:
    """The message of an event: its data alone as the body, what else is known of it as CloudEvents attributes."""
    event = stored.event
    headers = {
        MESSAGE_ID: event.event_id,
        "ce-specversion": "1.0",
        "ce-id": event.event_id,
        "ce-source": f"eventstore/{quote(event.aggregate.type, safe=_PLAIN)}",
        "ce-type": event.event_type,
        "ce-subject": quote(event.aggregate.id, safe=_PLAIN),
        "ce-time": rfc3339(stored.at),
        "ce-sequence": str(stored.version),
    }
    if event.data:
        headers["ce-datacontenttype"] = "application/json"
    return Message(event.event_type, headers, event.data.encode(), event.event_id)
