"""Works off the agenda in batches: transact, then send, then acknowledge.

Owns that order, how many batches are under way, and what becomes of one that fails. Decides nothing about sagas.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

import structlog

from saga_engine.core.bounds import MANY_EVENTS, MOST_EVENTS
from saga_engine.core.decider import Decided, Ignored
from saga_engine.core.inputs import ReplyReceived
from saga_engine.core.state import SagaState
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.agenda import Agenda, Entry
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Intake
from saga_engine.orchestrator.relay import Relay
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.troubles import Troubles
from saga_engine.orchestrator.tuning import Tuning
from saga_engine.orchestrator.turns import Turn, Turned, traced
from saga_engine.orchestrator.watch import Watch
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

_COMMITTING: Final = 2
"""Batches between decision and commit at a time: while the store works on one, the next is decided."""

_WORTH_OVERLAPPING: Final = 4
"""A second batch does not wait for the commit of the first once it is at least this part of a full one."""

_MOST_BEHIND: Final = 1_000
"""Rows that may be behind what is known before the store is told, whatever the time."""

_log = structlog.get_logger(__name__)


class Batches:
    """The loop over the agenda. A saga is in one batch at a time, from its decision until what it sends is sent."""

    def __init__(
        self,
        agenda: Agenda,
        transactor: Transactor,
        relay: Relay,
        intake: Intake,
        watch: Watch,
        clock: Clock,
        counters: Counters,
        tuning: Tuning,
        tracing: Tracing | None = None,
    ) -> None:
        self._agenda = agenda
        self._transactor = transactor
        self._relay = relay
        self._intake = intake
        self._watch = watch
        self._clock = clock
        self._counters = counters
        self._tuning = tuning
        self._troubles = Troubles(tuning.trouble_after)
        self._tracing = tracing
        self._committing = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._settling: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._held = False
        self._stopping = False
        self._failure: BaseException | None = None

    def stop(self) -> None:
        """Begin no more batches; `run` ends when those under way are through."""
        self._stopping = True
        self._agenda.work.set()

    async def run(self) -> None:
        """Work until `stop`, one batch after the other, each as large as what has come in the meantime.

        Raises what a batch failed with, if that is a defect.
        """
        try:
            while not self._stopping:
                await self._agenda.work.wait()
                self._agenda.work.clear()
                while self._may_begin():
                    self._begin()
            while self._under_way:
                await asyncio.wait(self._under_way)
        finally:
            await end_tasks([*self._under_way, *([] if self._settling is None else [self._settling])])
        if self._failure is not None:
            raise self._failure

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """For what must not meet a batch between decision and commit."""
        self._held = True
        try:
            await self._idle.wait()
            yield
        finally:
            self._held = False
            self._agenda.work.set()

    def _may_begin(self) -> bool:
        """Whether there is a batch to begin: a small one waits for the commit under way, so that it grows."""
        ready = self._agenda.ready
        if not ready or self._held or self._stopping or len(self._under_way) >= self._tuning.sending:
            return False
        if not self._committing:
            return True
        return self._committing < _COMMITTING and ready * _WORTH_OVERLAPPING >= self._tuning.batch

    def _begin(self) -> None:
        self._committing += 1
        self._idle.clear()
        task = asyncio.create_task(self._work(self._agenda.take(self._tuning.batch)))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failure = self._failure or failure
            self._stopping = True
        self._agenda.work.set()

    async def _work(self, batch: dict[UUID, Entry]) -> None:
        now = self._clock.now()
        turns = [entry.turn(saga_id, now) for saga_id, entry in batch.items()]
        began = 0 if self._tracing is None else self._tracing.now()
        try:
            turned = await self._transact(turns)
        except UnavailableError as error:
            _log.warning("the store is not available; trying again", error=str(error))
            # Before others begin: they would not fare better.
            await self._clock.sleep(self._tuning.again_after)
            self._agenda.put_back(batch)
            return
        finally:
            self._committing -= 1
            if not self._committing:
                self._idle.set()
            self._agenda.work.set()
        self._count(turns, turned)
        self._counters.committing.add(self._clock.now() - now)
        if self._tracing is not None:
            self._trace(self._tracing, batch, turned, began)
        await self._send(batch, turned)
        self._settle_soon()

    async def _transact(self, turns: Sequence[Turn]) -> Sequence[Turned]:
        """As the transactor does.

        Where that fails for another reason than an outage, what one saga makes it fail by is in half of the batch only,
        and in the end in that saga's turn: the others go on without it.
        """
        try:
            return await self._transactor.transact(turns)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect that one saga uncovers must not stop all others
            if len(turns) == 1:
                saga_id = turns[0].saga_id
                self._transactor.forget(saga_id)
                return [Turned(saga_id, trouble=f"{type(error).__name__}: {error}", cause=error)]
        half = len(turns) // 2
        return [*await self._transact(turns[:half]), *await self._transact(turns[half:])]

    def _count(self, turns: Sequence[Turn], turned: Sequence[Turned]) -> None:
        counters = self._counters
        counters.batches += 1
        self._watch.expect(min((each.next_due for each in turned if each.next_due is not None), default=None))
        for turn, result in zip(turns, turned, strict=True):
            counters.commits += result.committed
            if result.late and result.state is not None:
                counters.over_sla += 1
                _log.warning(
                    "a saga is over its sla",
                    saga=result.state.saga,
                    key=result.state.key,
                    saga_id=str(result.saga_id),
                    status=result.state.status.value,
                    **traced(result.state),
                )
            if result.state is not None and result.state.version >= MANY_EVENTS and result.committed:
                self._warn_of_length(result, result.state)
            for given, answer in zip(turn.inputs, result.answers, strict=False):
                if isinstance(answer, Decided):
                    if result.committed:
                        counters.decided(given, answer)
                elif isinstance(answer, Ignored) and isinstance(given, ReplyReceived):
                    counters.ignored[answer.reason] += 1

    def _trace(self, tracing: Tracing, batch: Mapping[UUID, Entry], turned: Sequence[Turned], began: int) -> None:
        for result in turned:
            if result.state is not None and result.state.traceparent is not None:
                for delivery in batch[result.saga_id].deliveries:
                    tracing.took(delivery.message, began)

    def _warn_of_length(self, result: Turned, state: SagaState) -> None:
        """Once, when a stream has become remarkably long: there is time to look at it before it reaches its limit."""
        new = sum(len(answer.events) for answer in result.answers if isinstance(answer, Decided))
        if state.version - new < MANY_EVENTS:
            self._counters.long += 1
            _log.warning(
                "a saga has many events",
                saga=state.saga,
                key=state.key,
                saga_id=str(result.saga_id),
                events=state.version,
                limit=MOST_EVENTS,
                **traced(state),
            )

    async def _send(self, batch: Mapping[UUID, Entry], turned: Sequence[Turned]) -> None:
        """Send what was committed; only then are the messages that led to it acknowledged.

        What goes wrong here is tried again: it is committed, and must be sent.
        """
        try:
            sent = await self._relay.send(turned)
            self._counters.commands += sent.commands
            self._counters.sent_again += sent.again
            self._counters.unacknowledged += len(sent.failed)
            for saga_id, version in sent.complete:
                self._transactor.upkeep.acknowledged(saga_id, version)
            if sent.failed:
                self._later({saga_id: batch[saga_id] for saga_id in sent.failed}, self._tuning.again_after)
            await self._acknowledge(batch, turned)
        except Exception:  # noqa: BLE001 - a batch that cannot be sent must not take the others down
            _log.exception("a batch could not be sent; trying again")
            self._later(batch, self._tuning.trouble_after)
        finally:
            self._agenda.release(batch)

    async def _acknowledge(self, batch: Mapping[UUID, Entry], turned: Sequence[Turned]) -> None:
        self._troubles.over(turn.saga_id for turn in turned if not turn.trouble)
        done: list[Delivery] = []
        troubled: list[tuple[Entry, Turned]] = []
        for entry, turn in zip(batch.values(), turned, strict=True):
            if turn.trouble:
                troubled.append((entry, turn))
            elif entry.replies:
                done += entry.deliveries
        await self._intake.done_with(done)
        for entry, turn in troubled:
            await self._rest(entry, turn)

    async def _rest(self, entry: Entry, turn: Turned) -> None:
        """Leave a saga alone that cannot be worked on: longer each time, unless others were just quicker with it."""
        saga_id = turn.saga_id
        if turn.overtaken:
            delay = self._tuning.again_after
            _log.info("others are quicker with a saga", saga_id=str(saga_id), again_in_s=delay)
        else:
            delay = self._troubles.again(saga_id)
            _log.error(
                "a saga cannot be worked on",
                saga_id=str(saga_id),
                trouble=turn.trouble,
                again_in_s=delay,
                exc_info=turn.cause,
            )
        self._watch.rest((saga_id,), delay, entry.seen or None if turn.state is None else turn.state.version)
        if entry.ask_again:
            # Those that are due are found again; that this one was to ask again is known to nobody else.
            self._later({saga_id: entry}, delay)
        await self._intake.put_back(entry.deliveries, delay)

    def _later(self, entries: Mapping[UUID, Entry], delay: float) -> None:
        """Look at sagas again that could not send all they had to, for the same reasons as this time."""
        for saga_id, entry in entries.items():
            look = partial(
                self._agenda.look, saga_id, seen=entry.seen, due_since=entry.due_since, ask_again=entry.ask_again
            )
            asyncio.get_running_loop().call_later(delay, look)

    def _settle_soon(self) -> None:
        """Tell the store in a while about rows that are behind; most are told sooner, by their next append."""
        if len(self._transactor.upkeep) and self._settling is None:
            self._settling = asyncio.create_task(self._settle())
            self._settling.add_done_callback(self._ended)

    async def _settle(self) -> None:
        upkeep = self._transactor.upkeep
        try:
            if len(upkeep) < _MOST_BEHIND:
                await self._clock.sleep(self._tuning.settle_after)
                await upkeep.settle_aged()
            else:
                await upkeep.settle()
        except UnavailableError as error:
            _log.warning("the store is not available; trying again", error=str(error))
            await self._clock.sleep(self._tuning.again_after)
        finally:
            self._settling = None
        self._settle_soon()
