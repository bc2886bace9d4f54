"""The worker: takes the commands of one participant, has them executed, and answers.

Owns its parts and its life: run, and stop within a time limit. Ports only; it knows neither NATS nor SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import Engine

from saga_engine.definition.model import Json
from saga_engine.errors import UnavailableError
from saga_engine.participant.accounts import Accounts
from saga_engine.participant.calls import HandlerCalls
from saga_engine.participant.counters import WorkCounters
from saga_engine.participant.deliveries import Deliveries
from saga_engine.participant.executor import Executor
from saga_engine.participant.horizon import forget
from saga_engine.participant.registry import MergedParticipant
from saga_engine.participant.threads import HandlerThreads
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync
from saga_engine.ports.transport import Transport
from saga_engine.tasks import end_tasks

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

CONCURRENCY: Final = 8
ACK_WAIT_S: Final = 5.0
STOP_S: Final = 10.0
FORGET_EVERY_S: Final = 3600.0

log = structlog.get_logger("saga_engine.participant")


class Worker:
    """Executes the commands of one participant, `concurrency` at a time.

    `engine` is the participant's own database, None when all its handlers are async. `settings` is what its handlers
    see as `ctx.settings`. `run_sync` runs the blocking calls; left out: daemon threads of the worker's own. `ack_wait`
    is the transport's, in seconds: progress is told three times in it. `forget_every`: between cleanings of the inbox.
    `tracing`: makes the spans; left out: none are made.

    Raises UsageError when a handler needs a database and there is none.
    """

    def __init__(
        self,
        participant: MergedParticipant,
        transport: Transport,
        engine: Engine | None,
        settings: Mapping[str, Json],
        clock: Clock,
        concurrency: int = CONCURRENCY,
        run_sync: RunSync | None = None,
        ack_wait: float = ACK_WAIT_S,
        forget_every: float = FORGET_EVERY_S,
        tracing: Tracing | None = None,
    ) -> None:
        self.name = participant.name
        self.counters = WorkCounters()
        self._tracing = tracing
        # SQLite has one writer at a time, and a transaction of ours is a writer from its start.
        single = engine is not None and engine.dialect.name == "sqlite"
        self._threads = HandlerThreads(participant.name, 1 if single else concurrency)
        self._run_sync: RunSync = run_sync or self._threads
        self._calls = HandlerCalls(self._run_sync, clock, self._threads)
        self._executor = Executor(participant, engine, settings, clock, self._calls, tracing)
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._concurrency = concurrency
        self._beat_s = ack_wait / 3
        self._forget_every = forget_every
        self._stop = asyncio.Event()
        self._stop_within = STOP_S
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def hanging(self) -> int:
        """How many handlers hang in their threads."""
        return self._calls.hanging

    async def run(self) -> None:
        """Work until `stop`. Cancelling it hands back what runs at once. Raises when the transport was closed."""
        self._ended.clear()
        try:
            await self._work()
        finally:
            self._threads.close()
            self._ended.set()

    async def stop(self, timeout: float = STOP_S) -> None:
        """Take no more commands, finish what runs within `timeout` seconds, hand back the rest, and wait for the end.

        A handler that still runs then is left behind in its thread; should it commit, its reply is in the inbox.
        """
        self._stop_within = timeout
        self._stop.set()
        await self._ended.wait()

    async def _work(self) -> None:
        subscription = await self._transport.commands(self.name)
        deliveries = Deliveries(
            self.name,
            self._executor,
            self._transport,
            subscription,
            self._clock,
            self._concurrency,
            self._calls,
            Accounts(self.counters, self._clock, self._tracing),
        )
        receiving = asyncio.create_task(deliveries.receive())
        helping = [asyncio.create_task(deliveries.answer()), asyncio.create_task(deliveries.beat(self._beat_s))]
        if self._engine is not None:
            helping.append(asyncio.create_task(self._forget(self._engine)))
        stopping = asyncio.create_task(self._stop_asked())
        try:
            await asyncio.wait([receiving, *helping, stopping], return_when=asyncio.FIRST_COMPLETED)
            if stopping.done():
                await end_tasks([receiving])
                await self._finish(deliveries)
        finally:
            await end_tasks([receiving, stopping, *helping])
            await deliveries.hand_back()
            await subscription.close()
        for task in (receiving, *helping):
            if not task.cancelled():
                task.result()

    async def _forget(self, engine: Engine) -> None:
        """For ever, once in a while, delete what the inbox need not know any more."""
        while True:
            await self._clock.sleep(self._forget_every)
            try:
                await self._run_sync(partial(forget, engine, self._clock.now()))
            except UnavailableError as error:
                log.warning("the inbox was not cleaned, it is tried again", participant=self.name, reason=str(error))

    async def _stop_asked(self) -> None:
        await self._stop.wait()

    async def _finish(self, deliveries: Deliveries) -> None:
        # What is not settled in time is handed back by the caller.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._stop_within):
                await deliveries.settled()
