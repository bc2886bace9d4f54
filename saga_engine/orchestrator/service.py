"""The running orchestrator: what the agenda holds is transacted in batches, then sent, then acknowledged.

Owns the order of these and the partitions held. Decides nothing itself; any number may run on one store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import structlog

from saga_engine.core.bounds import MANY_EVENTS, MOST_EVENTS
from saga_engine.core.decider import Decided, Ignored
from saga_engine.core.inputs import ReplyReceived
from saga_engine.envelope import partition_of
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.agenda import Agenda, Entry
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Intake
from saga_engine.orchestrator.leases import Leases
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.relay import Relay
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.orchestrator.transact import Transactor, Turn, Turned
from saga_engine.orchestrator.watch import Watch
from saga_engine.ports import Clock, EventStore, RunSync, Transport

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Sizes in sagas, times in seconds.

    `batch`: in one commit at most. `backlog`: waiting, above which nothing more is received. `cached`: kept in memory.
    `sending`: batches whose messages may be under way at a time. `due_poll`: the backstop for what is due.
    """

    batch: int = 500
    backlog: int = 4_000
    cached: int = 20_000
    sending: int = 16
    due_poll: float = 1.0
    lease_interval: float = 1.0
    again_after: float = 1.0
    trouble_after: float = 5.0


class Orchestrator:
    """One orchestrator. `name` must be its own among all on the store.

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
    ) -> None:
        self.counters = Counters()
        self._tuning = tuning or Tuning()
        self._transport = transport
        self._clock = clock
        self._run_sync = run_sync
        self._agenda = Agenda()
        self._intake = Intake(transport, tokens, clock, self._agenda, self.counters, self._tuning.backlog)
        self._watch = Watch(store, transport, clock, run_sync, self._agenda, self._tuning.due_poll)
        self._transactor = Transactor(store, Plans(store), StateCache(self._tuning.cached), clock.now)
        self._transacting = asyncio.Lock()
        self._relay = Relay(transport, tokens, clock.now)
        self._leases = Leases(store, name)
        self._partitions: frozenset[int] = frozenset()
        self._acknowledged: list[tuple[UUID, int]] = []
        self._ended = False
        self._sending: set[asyncio.Task[None]] = set()
        self._recovering: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._log = _log.bind(orchestrator=name)

    def stop(self) -> None:
        """Finish what is under way, hand back the rest, and end `run`."""
        self._stopping.set()
        self._agenda.work.set()

    async def run(self) -> None:
        """Work until `stop`."""
        silence = await self._transport.on_ring(self._watch.rung)
        working = self._guarded(asyncio.create_task(self._work()))
        feeding = [
            self._guarded(asyncio.create_task(work()))
            for work in (self._hold_leases, self._watch.due, self._watch.losses)
        ]
        try:
            await self._stopping.wait()
            if self._failure is not None:
                raise self._failure
            await _ended(feeding)
            await self._intake.pause()
            await working
            if self._sending:
                await asyncio.wait(self._sending)
            await self._sign_off()
            self._log.info("the orchestrator has ended", **self.counters.shown())
        finally:
            await silence()
            await _ended([working, *feeding, *self._sending, *self._recovering])
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
            async with self._transacting:
                await self._run_sync(partial(self._transactor.acknowledged, self._acknowledged))
                await self._run_sync(partial(self._transactor.hand_over, lambda _: True))
            await self._run_sync(self._leases.leave)
        except UnavailableError as error:
            self._log.warning("the store could not be told that this orchestrator ends", error=str(error))

    async def _work(self) -> None:
        """One batch after the other, each as large as what has come in the meantime."""
        while not self._stopping.is_set():
            await self._agenda.work.wait()
            self._agenda.work.clear()
            while (self._agenda.ready or self._ended) and not self._stopping.is_set():
                await self._batch()
                if len(self._sending) >= self._tuning.sending:
                    await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)

    async def _batch(self) -> None:
        batch = self._agenda.take(self._tuning.batch)
        acknowledged, self._acknowledged, self._ended = self._acknowledged, [], False
        now = self._clock.now()
        turns = [entry.turn(saga_id, now) for saga_id, entry in batch.items()]
        try:
            async with self._transacting:
                turned = await self._run_sync(partial(self._transact, acknowledged, turns))
        except UnavailableError as error:
            self._log.warning("the store is not available; trying again", error=str(error))
            self._acknowledged += acknowledged
            self._ended = True
            self._agenda.put_back(batch)
            await self._clock.sleep(self._tuning.again_after)
            return
        self._count(turns, turned)
        for turn in turned:
            self._watch.expect(turn.next_due)
        sending = asyncio.create_task(self._send(batch, turned))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    def _transact(self, acknowledged: Sequence[tuple[UUID, int]], turns: Sequence[Turn]) -> Sequence[Turned]:
        self._transactor.acknowledged(acknowledged)
        turned = self._transactor.transact(turns)
        due = {turn.saga_id for turn in turns if turn.due_since is not None}
        self._transactor.looked_at([turn for turn in turned if turn.saga_id in due])
        return turned

    def _count(self, turns: Sequence[Turn], turned: Sequence[Turned]) -> None:
        self.counters.batches += 1
        for turn, result in zip(turns, turned, strict=True):
            self.counters.commits += result.committed
            if result.late and result.state is not None:
                self.counters.over_sla += 1
                self._log.warning(
                    "a saga is over its sla",
                    saga=result.state.saga,
                    key=result.state.key,
                    saga_id=str(result.saga_id),
                    status=result.state.status.value,
                )
            self._warn_of_length(result)
            for given, answer in zip(turn.inputs, result.answers, strict=False):
                if isinstance(given, ReplyReceived) and isinstance(answer, Ignored):
                    self.counters.ignored[answer.reason] += 1

    def _warn_of_length(self, result: Turned) -> None:
        """Once, when a stream has become remarkably long: there is time to look at it before it reaches its limit."""
        state = result.state
        if state is None or state.version < MANY_EVENTS or not result.committed:
            return
        new = sum(len(answer.events) for answer in result.answers if isinstance(answer, Decided))
        if state.version - new < MANY_EVENTS:
            self.counters.long += 1
            self._log.warning(
                "a saga has many events",
                saga=state.saga,
                key=state.key,
                saga_id=str(result.saga_id),
                events=state.version,
                limit=MOST_EVENTS,
            )

    async def _send(self, batch: Mapping[UUID, Entry], turned: Sequence[Turned]) -> None:
        """Send what was committed; only then are the messages that led to it acknowledged.

        What goes wrong here is tried again: it is committed, and must be sent.
        """
        try:
            sent = await self._relay.send(turned)
            self.counters.commands += sent.commands
            self.counters.sent_again += sent.again
            self.counters.unacknowledged += len(sent.failed)
            self._acknowledged += sent.complete
            self._ended = self._ended or any(
                turn.state is not None and turn.state.ended_as is not None for turn in turned
            )
            self._later(sent.failed, self._tuning.again_after)
            await self._settle(batch, turned)
        except Exception:  # noqa: BLE001 - a batch that cannot be sent must not take the others down
            self._log.exception("a batch could not be sent; trying again")
            self._later(batch, self._tuning.trouble_after)
        finally:
            self._agenda.release(batch)

    async def _settle(self, batch: Mapping[UUID, Entry], turned: Sequence[Turned]) -> None:
        troubled = {turn.saga_id: turn for turn in turned if turn.trouble}
        for saga_id, turn in troubled.items():
            trouble, cause = turn.trouble, turn.cause
            self._log.error("a saga cannot be worked on", saga_id=str(saga_id), trouble=trouble, exc_info=cause)
        self._watch.rest(troubled, self._tuning.trouble_after)
        done = [
            delivery for saga_id, entry in batch.items() if saga_id not in troubled for delivery in entry.deliveries
        ]
        await self._intake.done_with(done)
        back = [delivery for saga_id in troubled for delivery in batch[saga_id].deliveries]
        await self._intake.put_back(back, self._tuning.trouble_after)

    def _later(self, saga_ids: Iterable[UUID], delay: float) -> None:
        """Look at sagas again that could not send all they had to."""
        for saga_id in saga_ids:
            asyncio.get_running_loop().call_later(delay, partial(self._agenda.look, saga_id))

    async def _hold_leases(self) -> None:
        """Keep our share of the partitions. While the store is away we go on: a lease is for speed only."""
        while True:
            try:
                holding = await self._run_sync(self._leases.renew)
            except UnavailableError as error:
                self._log.warning("leases could not be renewed", error=str(error))
            else:
                await self._own(holding.partitions)
            await self._clock.sleep(self._tuning.lease_interval)

    async def _own(self, partitions: frozenset[int]) -> None:
        gained, lost = partitions - self._partitions, self._partitions - partitions
        if not gained and not lost:
            return
        try:
            if lost:
                async with self._transacting:
                    await self._run_sync(partial(self._transactor.hand_over, partial(_is_in, lost)))
            receiving = await self._intake.listen(partitions)
        except UnavailableError as error:
            self._log.warning("partitions could not be taken over; trying again", error=str(error))
            return
        if receiving is not None:
            self._guarded(receiving)
        self._partitions = partitions
        self._log.info("partitions changed", held=sorted(partitions), gained=sorted(gained), lost=sorted(lost))
        self._watch.over(partitions)
        if gained:
            recovering = self._guarded(asyncio.create_task(self._watch.recover(gained)))
            self._recovering.add(recovering)
            recovering.add_done_callback(self._recovering.discard)


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _is_in(partitions: frozenset[int], saga_id: UUID) -> bool:
    return partition_of(saga_id) in partitions
