"""The running orchestrator: its parts, put together, and their life from start to stop.

Owns what runs beside what, and the order of ending. Decides nothing itself; any number may run on one store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.batches import Batches
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Intake
from saga_engine.orchestrator.keyring import Keyring
from saga_engine.orchestrator.leases import Leases
from saga_engine.orchestrator.ownership import Ownership
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.relay import Relay
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.orchestrator.watch import Watch
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import EventStore, RunSync
from saga_engine.ports.transport import Transport
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

_log = structlog.get_logger(__name__)


class Orchestrator:
    """One orchestrator.

    `name` must be its own among all that run on the store; under the name of one that has ended it goes on with its
    partitions at once. `reply_keys` reads the keys of the tokens anew, while it runs; left out: those of `tokens` stay.
    `tracing`: makes the spans; left out: none are made.

    `run` works until `stop` is called; outages of store and broker are waited out. Cancelling it is like a crash: safe,
    but others must wait for its leases to expire.
    """

    def __init__(
        self,
        name: str,
        store: EventStore,
        transport: Transport,
        tokens: Tokens,
        clock: Clock,
        run_sync: RunSync,
        tuning: Tuning | None = None,
        reply_keys: Callable[[], Mapping[str, bytes]] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.counters = Counters()
        self._agenda = agenda = Agenda()
        tuning = tuning or Tuning()
        self._transport = transport
        self._transactor = Transactor(store, Plans(store), StateCache(tuning.cached), clock.now, run_sync, tuning)
        self._keyring = None if reply_keys is None else Keyring(tokens, reply_keys, run_sync, clock)
        self._intake = Intake(transport, tokens, clock, agenda, self.counters, tuning.backlog, self._keyring)
        self._watch = Watch(store, transport, clock, run_sync, agenda, tuning.due_poll, self._transactor.upkeep)
        relay = Relay(transport, tokens, clock.now, tracing)
        self._batches = Batches(
            agenda, self._transactor, relay, self._intake, self._watch, clock, self.counters, tuning, tracing
        )
        leases = Leases(store, name, int(tuning.lease * 1_000_000))
        self._ownership = Ownership(leases, self, clock, run_sync, tuning.lease_interval, name)
        self._beat_every = tuning.ack_wait / 4
        self._recovering: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._log = _log.bind(orchestrator=name)

    @property
    def waiting(self) -> int:
        """How many sagas wait to be worked on."""
        return len(self._agenda)

    @property
    def cached(self) -> int:
        """How many folded sagas are kept."""
        return self._transactor.cached

    @property
    def partitions(self) -> int:
        """How many partitions are ours."""
        return self._ownership.held

    def stop(self) -> None:
        """Finish what is under way, hand back the rest, and end `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`."""
        silence = await self._transport.on_ring(self._watch.rung)
        working = self._guarded(asyncio.create_task(self._batches.run()))
        works = [self._ownership.hold, self._watch.due, self._watch.losses]
        if self._keyring is not None:
            works.append(self._keyring.keep)
        beating = self._guarded(asyncio.create_task(self._intake.beat(self._beat_every)))
        feeding = [self._guarded(asyncio.create_task(work())) for work in works]
        try:
            await self._stopping.wait()
            if self._failure is not None:
                raise self._failure
            await end_tasks(feeding)
            await self._intake.pause()
            self._batches.stop()
            await working
            # What nobody will work on here, others need not wait for.
            await self._intake.put_back(list(self._agenda.deliveries()), 0)
            await self._sign_off()
            self._log.info("the orchestrator has ended", **self.counters.shown())
        finally:
            await silence()
            await end_tasks([working, beating, *feeding, *self._recovering])
            await self._intake.close()

    def _guarded(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """If this task fails, so does `run`: a service that is half alive helps nobody."""

        def ended(task: asyncio.Task[None]) -> None:
            failure = None if task.cancelled() else task.exception()
            if failure is not None:
                self._failure = self._failure or failure
                self.stop()

        task.add_done_callback(ended)
        return task

    async def _sign_off(self) -> None:
        """Tell the store what was acknowledged, and hand the partitions back."""
        try:
            await self._ownership.give_up()
        except UnavailableError as error:
            self._log.warning("the store could not be told that this orchestrator ends", error=str(error))

    async def leave(self, leaving: Callable[[UUID], bool]) -> None:
        """See `ownership.Partitioned`."""
        async with self._batches.paused():
            await self._transactor.upkeep.hand_over(leaving)

    async def listen(self, partitions: frozenset[int]) -> None:
        """See `ownership.Partitioned`."""
        receiving = await self._intake.listen(partitions)
        if receiving is not None:
            self._guarded(receiving)

    def look_after(self, partitions: frozenset[int], gained: frozenset[int]) -> None:
        """See `ownership.Partitioned`."""
        self._watch.over(partitions)
        if gained:
            recovering = self._guarded(asyncio.create_task(self._watch.recover(gained)))
            self._recovering.add(recovering)
            recovering.add_done_callback(self._recovering.discard)
