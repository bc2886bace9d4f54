"""The watch looks when somebody rings, at the times that it was told, and at every poll; here in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.envelope import StreamHead, partition_of
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.inline import inline
from saga_engine.orchestrator.upkeep import Upkeep
from saga_engine.orchestrator.watch import Watch
from saga_engine.ports.store import LoadedStream, StreamFilter
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run

POLL = 3600.0


class Looking(MemoryEventStore):
    """A store that tells when it was asked for what is due, and gives `heads_due`, each until its time has come."""

    def __init__(self, asked: Callable[[], None], clock: VirtualClock) -> None:
        super().__init__()
        self._asked = asked
        self._clock = clock
        self.heads_due: list[StreamHead] = []
        self.always_due: list[StreamHead] = []
        self.open: list[StreamHead] = []
        self.unreadable = False
        """Events of one that is due cannot be read: on SQLite text that is no UTF-8, on servers a torn page."""
        self.whole = False
        """What is due comes with its events."""

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        self._asked()
        found = [head for head in self.heads_due if head.next_due is not None and head.next_due <= now]
        reached = self._clock.now()
        self.heads_due = [head for head in self.heads_due if head.next_due is not None and head.next_due > reached]
        return [*self.always_due, *found][:limit]

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        """Where there are too many it is asked for all of them as well: one look, which `due` tells of."""
        if self.unreadable:
            raise RuntimeError("events of one of them cannot be read")
        found = [*self.always_due, *(head for head in self.heads_due if head.next_due and head.next_due <= now)]
        heads = found[:limit] if len(found) >= limit else self.due(partitions, now, limit)
        return [LoadedStream(head, None, ()) for head in heads] if self.whole else heads

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        return self.open


class Losing(MemoryTransport):
    """A transport that has lost its streams so many times."""

    lost = 0

    def losses(self) -> int:
        return self.lost


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

        self.transport = Losing(MemoryBroker())
        self.store = Looking(asked, self.clock)
        self.agenda = Agenda()
        upkeep = Upkeep(self.store, StateCache(1), inline, snapshot_from=20)
        self.watch = Watch(self.store, self.transport, self.clock, inline, self.agenda, POLL, upkeep)
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


def test_a_time_that_it_is_told_while_the_store_answers_makes_it_look_then_and_no_sooner() -> None:
    def expect_once(watching: Watching) -> None:
        if len(watching.looks) == 1:
            watching.watch.expect(watching.clock.now() + 12_000_000)

    async def watched() -> list[float]:
        return await Watching(expect_once).until(20)

    assert run(watched()) == [0, 12]


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


def test_it_looks_at_each_time_that_falls_due_before_the_next_poll() -> None:
    async def watched() -> tuple[list[float], int]:
        watching = Watching(nothing)
        begin = watching.clock.now()
        watching.store.heads_due = [_due(watching, begin + seconds * 1_000_000) for seconds in (10, 25)]
        looks = await watching.until(60)
        return looks, len(watching.agenda)

    assert run(watched()) == ([0, 10, 25], 2)


def _due(watching: Watching, at: int) -> StreamHead:
    saga_id = TimeOrderedIds(lambda size: bytes(size)).new(at)
    return StreamHead(saga_id, "s", "k", 1, 1, "hash", partition_of(saga_id), 2, 2, "running", at, at, None)


@pytest.mark.parametrize("worked", [False, True], ids=["nothing was worked on", "a batch was taken meanwhile"])
def test_a_stream_that_was_found_due_is_taken_as_it_was_read_unless_something_was_worked_on_meanwhile(
    worked: bool,
) -> None:
    def work(watching: Watching) -> None:
        if worked:
            watching.agenda.take(1)

    async def watched() -> LoadedStream | None:
        watching = Watching(work)
        watching.store.whole = True
        head = _due(watching, watching.clock.now())
        watching.store.heads_due = [head]
        await watching.until(20)
        (entry,) = watching.agenda.take(2).values()
        return entry.turn(head.stream_id, watching.clock.now()).loaded

    assert (run(watched()) is None) is worked


def test_a_saga_whose_events_cannot_be_read_keeps_no_other_from_being_found_due() -> None:
    async def watched() -> int:
        watching = Watching(nothing)
        begin = watching.clock.now()
        watching.store.unreadable = True
        watching.store.heads_due = [_due(watching, begin + seconds * 1_000_000) for seconds in (0, 5)]
        await watching.until(20)
        return watching.agenda.ready

    assert run(watched()) == 2


def test_sagas_that_cannot_be_worked_on_do_not_stand_before_those_that_can() -> None:
    async def watched() -> tuple[int, int]:
        watching = Watching(nothing)
        begin = watching.clock.now()
        stuck = [_due(watching, begin - 1000 * (i + 1)) for i in range(600)]
        fine = _due(watching, begin)
        watching.store.always_due = [*stuck, fine]
        watching.watch.rest([head.stream_id for head in stuck], 5 * POLL)
        looks = await watching.until(1.5 * POLL)
        return len(looks), len(watching.agenda)

    assert run(watched()) == (2, 1)


def _few_times(watching: Watching) -> None:
    # It would look for ever, and no time would pass.
    assert len(watching.looks) < 10


def test_sagas_that_are_worked_on_are_not_looked_for_again_and_again() -> None:
    async def watched() -> tuple[list[float], int]:
        watching = Watching(_few_times)
        begin = watching.clock.now()
        watching.store.always_due = [_due(watching, begin - 1000 * (i + 1)) for i in range(700)]
        # A full page waits; once it is worked on, what stands behind it is looked for, and then no more.
        asyncio.get_running_loop().call_later(10, watching.agenda.take, 500)
        looks = await watching.until(20)
        return looks, watching.agenda.ready

    assert run(watched()) == ([0, 10], 200)


def test_what_the_broker_lost_is_asked_for_again_for_partitions_that_come_later() -> None:
    async def watched() -> list[int]:
        watching = Watching(nothing)
        heads = [_due(watching, watching.clock.now() + i * 1000) for i in range(40)]
        watching.store.open = heads
        watching.transport.lost = 1
        first = frozenset(range(8))
        watching.watch.over(first)
        task = asyncio.create_task(watching.watch.losses())
        await asyncio.sleep(1)
        asked = [len(watching.agenda)]
        watching.watch.over(frozenset(range(16)))
        await asyncio.sleep(POLL)
        asked.append(len(watching.agenda))
        task.cancel()
        await asyncio.wait([task])
        early = sum(head.partition in first for head in heads)
        assert 0 < early < 40
        return [asked[0] - early, asked[1]]

    assert run(watched()) == [0, 40]


@pytest.mark.parametrize(
    ("losses", "is_open", "told"),
    [
        (1, False, ("debug", "the broker's streams are new, and no saga is open")),
        (1, True, ("info", "NATS starts out empty: the open commands of open sagas are sent to it now")),
        (2, True, ("warning", "the broker has lost messages; open sagas ask again")),
    ],
    ids=["a new project", "sagas that were started before the first run", "a broker that lost what it had"],
)
def test_streams_that_are_new_are_told_by_how_much_they_matter(
    losses: int, is_open: bool, told: tuple[str, str]
) -> None:
    async def watched() -> None:
        watching = Watching(nothing)
        watching.store.open = [_due(watching, watching.clock.now())] if is_open else []
        watching.transport.lost = losses
        task = asyncio.create_task(watching.watch.losses())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])

    with capture_logs() as logs:
        run(watched())
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [told]
