"""Partitions change hands while the broker or the store is away: nothing that is ours is left unheard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

from structlog.testing import capture_logs

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.errors import StoreUnavailableError, TransportUnavailableError
from saga_engine.orchestrator.inline import inline
from saga_engine.orchestrator.leases import Holding, Leases
from saga_engine.orchestrator.ownership import Ownership
from saga_engine.tasks import end_tasks
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run


class ScriptedLeases(Leases):
    """Grants what the test says, one line after the other, and the last one from then on."""

    def __init__(self, *granted: set[int]) -> None:
        super().__init__(MemoryEventStore(), "one")
        self._granted = list(granted)

    def renew(self) -> Holding:
        held = self._granted.pop(0) if len(self._granted) > 1 else self._granted[0]
        return Holding(frozenset(held), 1, settled=True)


class Recorder:
    """Notes what it was told; fails to listen, or to leave, as often as the test says. Deaf after a failed listen."""

    def __init__(self, *, deaf: int = 0, holding_on: int = 0) -> None:
        self._deaf = deaf
        self._holding_on = holding_on
        self.hearing: frozenset[int] = frozenset()
        self.gained: list[set[int]] = []
        self.listened = 0

    async def leave(self, leaving: Callable[[UUID], bool]) -> None:
        if self._holding_on:
            self._holding_on -= 1
            raise StoreUnavailableError("away")

    async def listen(self, partitions: frozenset[int]) -> None:
        self.hearing = frozenset()
        self.listened += 1
        if self.listened > 1 and self._deaf:
            self._deaf -= 1
            raise TransportUnavailableError("away")
        self.hearing = partitions

    def look_after(self, partitions: frozenset[int], gained: frozenset[int]) -> None:
        self.gained.append(set(gained))


def held(worker: Recorder, *granted: set[int]) -> Recorder:
    """One round a second, and a few more than there are lines."""

    async def holding() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        ownership = Ownership(ScriptedLeases(*granted), worker, VirtualClock(loop), inline, 1, "one")
        task = asyncio.create_task(ownership.hold())
        await asyncio.sleep(len(granted) + 2.5)
        await end_tasks([task])

    with capture_logs():
        run(holding())
    return worker


def test_a_share_that_does_not_change_is_listened_to_once() -> None:
    worker = held(Recorder(), {1, 2})
    assert (worker.listened, worker.gained) == (1, [{1, 2}])


def test_a_share_that_comes_back_after_a_failed_change_is_heard_again_and_looked_after_anew() -> None:
    worker = held(Recorder(deaf=1), {1, 2}, {1}, {1, 2})
    assert worker.hearing == {1, 2}
    assert worker.gained == [{1, 2}, {2}], "others may have worked on what was given up meanwhile"


def test_listening_that_failed_is_tried_again_although_the_share_stays() -> None:
    worker = held(Recorder(deaf=3), {1}, {1, 2})
    assert worker.hearing == {1, 2}
    assert worker.gained == [{1}, {2}]


def test_what_could_not_be_left_is_left_later_and_heard_until_then() -> None:
    worker = held(Recorder(holding_on=2), {1, 2}, {1})
    assert worker.hearing == {1}
    assert worker.gained == [{1, 2}, set()]
    assert worker.listened == 2
