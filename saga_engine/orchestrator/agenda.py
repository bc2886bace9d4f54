"""What is to be done next, by saga: inputs that arrived, sagas that are due, sagas whose sending must be repeated.

A saga that is being worked on is held out of the next batch; what arrives for it waits. Knows no I/O.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final
from uuid import UUID

from saga_engine.core.inputs import Due, Input
from saga_engine.orchestrator.turns import Turn
from saga_engine.ports.store import LoadedStream
from saga_engine.ports.transport import Delivery

MOST_REPLIES: Final = 2_000
"""Of one saga at a time: twice what the items of a loop can send."""


@dataclass(slots=True, eq=False)
class Entry:
    """All that waits for one saga. `replies` by message id: their deliveries are settled once the turn is committed.

    `loaded`: the stream as it was when it was found due, for the first turn only.
    """

    replies: dict[object, tuple[Input, Delivery]] = field(default_factory=dict)
    seen: int = 0
    due_since: int | None = None
    ask_again: bool = False
    loaded: LoadedStream | None = None

    def turn(self, saga_id: UUID, now: int) -> Turn:
        """The turn that works it off; a due saga is looked at after what has arrived for it."""
        inputs = self.inputs if self.due_since is None else [*self.inputs, Due(now)]
        # What stands behind a reply may have been written after that look. And whoever tries again has to read anew.
        loaded, self.loaded = None if self.replies else self.loaded, None
        return Turn(saga_id, inputs, self.seen, self.due_since, self.ask_again, loaded=loaded)

    def answers(self, seen: int, due_since: int) -> bool:
        """Whether to work this off is to look at all that was due then, at a version as new as that."""
        return self.due_since is not None and self.due_since <= due_since and seen <= self.seen

    @property
    def inputs(self) -> list[Input]:
        return [given for given, _ in self.replies.values()]

    @property
    def deliveries(self) -> list[Delivery]:
        return [delivery for _, delivery in self.replies.values()]


class Agenda:
    """Waiting entries in order of arrival. Single-threaded: the event loop's.

    `work` is set whenever there may be something to do.
    """

    def __init__(self) -> None:
        self._ready: dict[UUID, Entry] = {}
        self._busy: dict[UUID, Entry] = {}
        self._held: dict[UUID, Entry] = {}
        """What has come for sagas that are busy."""
        self._taken = 0
        self._room = asyncio.Event()
        self._arrived = asyncio.Event()
        self.work = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready) + len(self._held)

    @property
    def known(self) -> int:
        """How many sagas wait or are being worked on, at most: of one that does both each counts."""
        return len(self) + len(self._busy)

    @property
    def taken(self) -> int:
        """How many batches were taken so far."""
        return self._taken

    @property
    def ready(self) -> int:
        """How many sagas can be worked on now."""
        return len(self._ready)

    def reply(self, saga_id: UUID, given: Input, delivery: Delivery) -> bool:
        """An input that arrived as a message. One that waits already, delivered again, waits once.

        False: so many wait for this saga that one more would hold up the others; it is not taken.
        """
        known = delivery.message.message_id
        replies = self._entry(saga_id).replies
        if len(replies) >= MOST_REPLIES and known not in replies:
            return False
        replies[object() if known is None else known] = (given, delivery)
        self._arrived.set()
        return True

    def look(
        self,
        saga_id: UUID,
        *,
        seen: int = 0,
        due_since: int | None = None,
        ask_again: bool = False,
        loaded: LoadedStream | None = None,
    ) -> None:
        """A saga to look at: it is due, or something of it must be sent again.

        `loaded`: it was read while it was not worked on here, so that nobody here has written to it since.
        One that was found due and is worked on for that is found so until its row says otherwise: that is nothing new.
        """
        busy = self._busy.get(saga_id)
        if due_since is not None and busy is not None and busy.answers(seen, due_since):
            return
        entry = self._entry(saga_id)
        entry.seen = max(entry.seen, seen)
        entry.ask_again = entry.ask_again or ask_again
        if due_since is not None:
            entry.due_since = due_since if entry.due_since is None else min(entry.due_since, due_since)
        entry.loaded = loaded

    def deliveries(self) -> Iterator[Delivery]:
        """All that wait or are worked on."""
        for entries in (self._ready, self._held, self._busy):
            for entry in entries.values():
                yield from entry.deliveries

    async def arrival(self) -> None:
        """Wait until a message waits or is worked on."""
        while next(self.deliveries(), None) is None:
            self._arrived.clear()
            await self._arrived.wait()

    async def room(self, backlog: int) -> None:
        """Wait until fewer sagas than `backlog` wait."""
        while len(self) >= backlog:
            self._room.clear()
            await self._room.wait()

    def take(self, limit: int) -> dict[UUID, Entry]:
        """The next batch; its sagas are busy until they are released or put back."""
        if len(self._ready) <= limit:
            batch, self._ready = self._ready, {}
        else:
            batch = dict(islice(self._ready.items(), limit))
            self._ready = dict(islice(self._ready.items(), limit, None))
        self._busy.update(batch)
        self._taken += 1
        self._room.set()
        return batch

    def release(self, saga_ids: Iterable[UUID]) -> None:
        """These may be worked on again."""
        for saga_id in saga_ids:
            self._busy.pop(saga_id, None)
        if self._held:
            for saga_id in saga_ids:
                entry = self._held.pop(saga_id, None)
                if entry is not None:
                    self._ready[saga_id] = entry
        self.work.set()

    def put_back(self, batch: dict[UUID, Entry]) -> None:
        """A batch that could not be committed waits again, before what has come since."""
        for saga_id, entry in batch.items():
            later = self._held.pop(saga_id, None)
            if later is not None:
                entry.replies |= later.replies
                entry.seen = max(entry.seen, later.seen)
                entry.ask_again = entry.ask_again or later.ask_again
                entry.due_since = later.due_since if entry.due_since is None else entry.due_since
        self._ready = {**batch, **self._ready}
        self.release(batch)

    def _entry(self, saga_id: UUID) -> Entry:
        waiting = self._held if saga_id in self._busy else self._ready
        new = Entry()
        # Mostly nothing waits for it yet; to look first would hash its id once more, which is what costs here.
        entry = waiting.setdefault(saga_id, new)
        if entry is new:
            self.work.set()
        return entry
