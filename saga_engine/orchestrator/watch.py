"""What nobody sends a message about: sagas that are due, sagas left behind by a crash, messages lost by the broker.

Finds them in the store and puts them on the agenda, paced by what the agenda can take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar
from uuid import UUID

import structlog

from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.upkeep import Upkeep
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import EventStore, LoadedStream, RunSync, StreamFilter
from saga_engine.ports.transport import Transport

_PAGE = 500
_SHORTEST = 0.005

_FEW: Final = 8
"""Sagas that are read as they are found due. Where there are as many, all are asked for, and read in a batch."""

T = TypeVar("T")

_Found: TypeAlias = StreamHead | LoadedStream

_log = structlog.get_logger(__name__)


class Watch:
    """Watches over the partitions held. `poll` is the backstop, in seconds, for times that nobody told us of."""

    def __init__(
        self,
        store: EventStore,
        transport: Transport,
        clock: Clock,
        run_sync: RunSync,
        agenda: Agenda,
        poll: float,
        upkeep: Upkeep,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._run_sync = run_sync
        self._agenda = agenda
        self._poll = poll
        self._upkeep = upkeep
        self._partitions: frozenset[int] = frozenset()
        self._soonest: int | None = None
        self._look = asyncio.Event()
        """Wakes who waits: we are told to look, or expect something sooner."""
        self._told = False
        self._resting: dict[UUID, tuple[int, int | None]] = {}
        """Until when, and what was known of their versions."""
        self._asked: dict[int, int] = {}

    def over(self, partitions: frozenset[int]) -> None:
        """Watch these from now on."""
        self._partitions = partitions
        self._look_now()

    def rung(self, partition: int) -> None:
        """Somebody else committed something for this partition."""
        if partition in self._partitions:
            self._look_now()

    def expect(self, due: int | None) -> None:
        """Something falls due then: no need to wait for the poll."""
        if due is not None and (self._soonest is None or due < self._soonest):
            self._soonest = due
            self._look.set()

    def rest(self, saga_ids: Iterable[UUID], seconds: float, version: int | None = None) -> None:
        """Leave these alone for a while: they cannot be worked on, and must not stand before those that can.

        Where `version` is known, only until somebody else has written: an operator may have ended the trouble.
        """
        until = self._clock.now() + int(seconds * 1_000_000)
        self._resting.update(dict.fromkeys(saga_ids, (until, version)))

    async def due(self) -> None:
        """Look for due sagas, at the times that are known and at every poll. Runs until cancelled."""
        while True:
            # Before we look, not after: a ring that comes while the store answers is about something newer.
            self._told = False
            self._soonest = None
            most = self._most()
            taken = self._agenda.taken
            found = await self._patiently(self._due_soon(most))
            # What was worked on meanwhile may have been read before it was written to.
            untouched = self._agenda.taken == taken
            now, awake = self._clock.now(), 0
            later: list[int] = []
            for one in found:
                head, loaded = _head(one), one if isinstance(one, LoadedStream) else None
                due = self._upkeep.knows_better(head) or head.next_due
                if due is None or due > now:
                    later += [] if due is None else [due]
                elif not self._rests(head):
                    self._agenda.look(
                        head.stream_id, seen=head.version, due_since=due, loaded=loaded if untouched else None
                    )
                    awake += 1
            if awake >= _PAGE:
                await self._agenda.room(_PAGE)
            if awake and len(found) >= most and (_head(found[-1]).next_due or now) <= now:
                # There may be more that are due, behind these.
                continue
            self._soonest = min([*later, *([] if self._soonest is None else [self._soonest])], default=None)
            await self._until_next()

    def _most(self) -> int:
        """How many to ask for.

        Those that rest, that are on the agenda, or whose rows are behind, must not stand before others: asking again
        until they are through would keep the store busy with nothing.
        """
        now = self._clock.now()
        self._resting = {saga_id: rest for saga_id, rest in self._resting.items() if rest[0] > now}
        return _PAGE + len(self._resting) + len(self._upkeep) + self._agenda.known

    def _due_soon(self, most: int) -> Callable[[], Sequence[_Found]]:
        """Ask for what is due, and what falls due before the next poll, earliest first.

        Where nothing is worked on, what is due will mostly be one saga alone, which has just been started: it is read
        at once, since who waits for it waits for each exchange with the store.
        """
        partitions, idle = sorted(self._partitions), most < _PAGE + _FEW and not self._agenda.known
        until = self._clock.now() + int(self._poll * 1_000_000)

        def ask() -> Sequence[_Found]:
            if not partitions:
                return ()
            few = self._few(partitions, until) if idle else None
            return self._store.due(partitions, until, most) if few is None else few

        return ask

    def _few(self, partitions: Sequence[int], until: int) -> Sequence[_Found] | None:
        """Those that are due, with their events; None: there are more, or the events of one cannot be read."""
        try:
            found = self._store.due_with_events(partitions, until, _FEW)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - one corrupt stream must not stop all others: who loads it tells of it
            _log.debug("sagas that are due cannot be read at once", exc_info=True)
            return None
        return found if len(found) < _FEW else None

    def _rests(self, head: StreamHead) -> bool:
        if head.stream_id not in self._resting:
            return False
        _, version = self._resting[head.stream_id]
        return version is None or head.version <= version

    def _look_now(self) -> None:
        self._told = True
        self._look.set()

    async def _until_next(self) -> None:
        """Wait for the poll, for the soonest known time, which may come nearer meanwhile, or until asked to look."""
        deadline = self._clock.now() + int(self._poll * 1_000_000)
        while not self._told:
            self._look.clear()
            now = self._clock.now()
            until = deadline if self._soonest is None else min(deadline, self._soonest)
            if until <= now:
                break
            try:
                async with asyncio.timeout(max(_SHORTEST, (until - now) / 1_000_000)):
                    await self._look.wait()
            except TimeoutError:
                break

    async def recover(self, partitions: frozenset[int]) -> None:
        """Take over partitions: look at every saga whose messages may not all have been sent."""
        for partition in sorted(partitions):
            after = None
            while True:
                heads = await self._patiently(partial(self._store.unpublished, partition, after, _PAGE))
                for head in heads:
                    self._agenda.look(head.stream_id, seen=head.version)
                if len(heads) < _PAGE:
                    break
                after = heads[-1].stream_id
                await self._agenda.room(_PAGE)

    async def losses(self) -> None:
        """When the broker has lost its streams, ask again for everything that is open. Runs until cancelled.

        Each partition has its own account: one that is taken over later has not been asked for yet. Counted from the
        connection on: streams that had to be made then may have been lost while nobody was looking.
        """
        while True:
            lost = self._transport.losses()
            behind = frozenset(each for each in self._partitions if self._asked.get(each, 0) != lost)
            if behind:
                asked = await self._ask_all_again(behind)
                if not asked:
                    _log.debug("the broker's streams are new, and no saga is open", partitions=len(behind))
                elif lost == 1:
                    # As a rule a broker that is new: a warning would frighten whoever starts for the first time.
                    _log.info("NATS starts out empty: the open commands of open sagas are sent to it now", sagas=asked)
                else:
                    _log.warning(
                        "the broker has lost messages; open sagas ask again", partitions=len(behind), sagas=asked
                    )
                self._asked.update(dict.fromkeys(behind, lost))
            await self._clock.sleep(self._poll)

    async def _ask_all_again(self, partitions: frozenset[int]) -> int:
        """Put every open saga of these partitions on the agenda; how many there are."""
        before, asked = None, 0
        while True:
            wanted = StreamFilter(
                statuses=(Status.RUNNING, Status.COMPENSATING, Status.BLOCKED), before=before, limit=_PAGE
            )
            heads = await self._patiently(partial(self._store.list, wanted))
            for head in heads:
                if head.partition in partitions:
                    self._agenda.look(head.stream_id, seen=head.version, ask_again=True)
                    asked += 1
            if len(heads) < _PAGE:
                return asked
            before = heads[-1].stream_id
            await self._agenda.room(_PAGE)

    async def _patiently(self, call: Callable[[], Sequence[T]]) -> Sequence[T]:
        """Ask the store until it answers."""
        while True:
            try:
                return await self._run_sync(call)
            except UnavailableError as error:
                _log.warning("the store is not available; trying again", error=str(error))
                await self._clock.sleep(self._poll)


def _head(found: _Found) -> StreamHead:
    return found.head if isinstance(found, LoadedStream) else found
