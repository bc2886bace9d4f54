"""The watch looks when somebody rings, at the times that it was told, and at every poll; here in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.envelope import StreamHead
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.watch import Watch
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run

T = TypeVar("T")
POLL = 3600.0


class Looking(MemoryEventStore):
    """An empty store that tells when it was asked for what is due."""

    def __init__(self, asked: Callable[[], None]) -> None:
        super().__init__()
        self._asked = asked

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        self._asked()
        return super().due(partitions, now, limit)


def inline(call: Callable[[], T], /) -> Awaitable[T]:
    async def answer() -> T:
        return call()

    return answer()


class Watching:
    """A watch over all partitions for a while, and the times at which it looked. `then` happens when it looks."""

    def __init__(self, then: Callable[[Watching], None]) -> None:
        self.looks: list[float] = []
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.clock = VirtualClock(loop)

        def asked() -> None:
            self.looks.append(loop.time())
            then(self)

        transport = MemoryTransport(MemoryBroker())
        self.watch = Watch(Looking(asked), transport, self.clock, inline, Agenda(), POLL)
        self.watch.over(frozenset(range(16)))

    async def until(self, seconds: float) -> list[float]:
        watching = asyncio.create_task(self.watch.due())
        await asyncio.sleep(seconds)
        watching.cancel()
        await asyncio.wait([watching])
        return self.looks


def nothing(watching: Watching) -> None:
    return None


def test_it_looks_at_every_poll() -> None:
    async def watched() -> list[float]:
        return await Watching(nothing).until(2.5 * POLL)

    assert run(watched()) == [0, POLL, 2 * POLL]


def test_a_ring_makes_it_look_at_once() -> None:
    async def watched() -> list[float]:
        watching = Watching(nothing)
        asyncio.get_running_loop().call_later(10, watching.watch.rung, 3)
        return await watching.until(20)

    assert run(watched()) == [0, 10]


def test_a_ring_that_comes_while_the_store_answers_makes_it_look_again() -> None:
    def ring_once(watching: Watching) -> None:
        if len(watching.looks) == 1:
            watching.watch.rung(3)

    async def watched() -> list[float]:
        return await Watching(ring_once).until(20)

    assert run(watched()) == [0, 0]


def test_a_ring_for_others_is_not_heard() -> None:
    async def watched() -> list[float]:
        watching = Watching(nothing)
        watching.watch.over(frozenset({1}))
        asyncio.get_running_loop().call_later(10, watching.watch.rung, 3)
        return await watching.until(20)

    assert run(watched()) == [0]


def test_it_looks_at_the_soonest_time_that_it_was_told() -> None:
    async def watched() -> list[float]:
        watching = Watching(nothing)
        begin = watching.clock.now()
        for seconds in (60, 15, 90):
            watching.watch.expect(begin + seconds * 1_000_000)
        asyncio.get_running_loop().call_later(5, watching.watch.expect, begin + 12_000_000)
        return await watching.until(14)

    assert run(watched()) == [0, 12]
