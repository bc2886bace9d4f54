"""What happens to the deliveries that a worker has taken: each is executed, and settled in exactly one way.

Owns which of them are open, and the delays of those that are put back. Knows no handler and no subject.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command, Message
from saga_engine.handling import about, handled
from saga_engine.participant.accounts import UNKNOWN, Accounts, Job
from saga_engine.participant.answers import Answer, Answered, Dead, Disposition, Dropped, PutBack, failed, reply_to
from saga_engine.participant.batches import Batches
from saga_engine.participant.calls import HandlerCalls
from saga_engine.participant.executor import Executor
from saga_engine.participant.replies import Conclusion, Replies
from saga_engine.participant.runners import Runners
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery, Subscription, Transport
from saga_engine.wire.commands import command_without_body, message_to_command
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import POISON, reply_to_message

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 10.0
_QUIET_US: Final = 10_000_000

MOST_AT_ONCE: Final = 256
"""Deliveries taken at once while no handler waits for anything."""
MOST_OPEN: Final = 1_024
"""Deliveries that are not settled yet, most of them because their replies are not confirmed."""

log = structlog.get_logger("saga_engine.participant")


class Deliveries:
    """The open deliveries of one worker: at most `concurrency` of their handlers wait for something at a time.

    No more are taken than can begin. While none waits, as many as arrive: handlers that never wait are run one after
    the other, and those for batches share a transaction. A delivery whose handling itself goes wrong is let go of: it
    comes again after its ack wait. So is one whose handler hangs: should it come back after all, it is answered.
    """

    def __init__(
        self,
        participant: str,
        executor: Executor,
        transport: Transport,
        subscription: Subscription,
        clock: Clock,
        concurrency: int,
        calls: HandlerCalls,
        accounts: Accounts,
    ) -> None:
        self._accounts = accounts
        self._counters = accounts.counters
        self._participant = participant
        self._executor = executor
        self._subscription = subscription
        self._clock = clock
        self._concurrency = concurrency
        self._calls = calls
        self._replies = Replies(transport, subscription, clock, self._let_go)
        self._runners = Runners(lambda: concurrency + calls.hanging, self._tell)
        self._batches = Batches(self._execute_many, lambda: 1 + calls.hanging, clock, self._tell)
        self._open: dict[int, Delivery] = {}
        self._running: dict[str, Job] = {}
        self._at_once = concurrency
        self._look_behind = False
        self._changed = asyncio.Event()
        self._quiet_until = 0

    async def receive(self) -> None:
        """Take deliveries for ever, as many as there is room for."""
        taken: Sequence[Delivery] = ()
        while True:
            await self._until(lambda: self._room() > 0)
            self._adapt(len(taken))
            taken = await self._subscription.receive(self._room())
            queued = self._batches.queued
            now = self._clock.now()
            self._counters.received += len(taken)
            for delivery in taken:
                self._open[id(delivery)] = delivery
                try:
                    self._take(delivery, now)
                except Exception as error:
                    log.error("a command could not be read", subject=delivery.message.subject, exc_info=error)
                    self._let_go([delivery])
            self._look_behind = self._batches.queued - queued < len(taken)
            self._counters.open = len(self._open)

    async def answer(self) -> None:
        """Send replies for ever."""
        await self._replies.run()

    async def beat(self, interval: float) -> None:
        """For ever, every `interval` seconds, keep what is open from being delivered to somebody else."""
        while True:
            await self._clock.sleep(interval)
            self._give_up_hanging()
            self._look_behind = True
            self._tell()
            if self._open:
                await self._subscription.in_progress(list(self._open.values()))

    async def settled(self) -> None:
        """Wait until nothing is open."""
        await self._until(lambda: not self._open)

    async def hand_back(self) -> None:
        """Stop waiting for what still runs and put all that is open back for another worker, at once."""
        await self._runners.stop()
        await self._batches.stop()
        if self._open:
            await self._subscription.retry_later(list(self._open.values()), 0)
            self._open.clear()
            self._counters.open = 0

    def _take(self, delivery: Delivery, now: int) -> None:
        self._counters.redelivered += delivery.deliveries > 1
        command = message_to_command(delivery.message)
        if isinstance(command, Unreadable):
            self._counters.unreadable += 1
            log.warning("unreadable command", participant=self._participant, reason=command.reason)
            self._bury(delivery, command.reason, self._poisoned(delivery.message, command.reason))
            return
        key = command.key
        if key in self._running:
            # Two of one key would only wait for each other, and a handler that hangs would take every thread.
            self._runners.put(partial(self._put_back, delivery))
            return
        self._running[key] = job = self._accounts.open(delivery, command, key, now)
        if self._executor.batches(command, delivery.deliveries > 1):
            self._batches.put(job)
        else:
            self._runners.put(partial(self._execute, job))

    async def _execute(self, job: Job) -> None:
        handled.set(job.command)
        try:
            tracing = self._accounts.tracing
            if tracing is None:
                disposition = await self._executor.execute(job.command, job.delivery.deliveries > 1)
            else:
                with tracing.within(job.command.traceparent):
                    disposition = await self._executor.execute(job.command, job.delivery.deliveries > 1)
        except Exception:
            self._let_go([job.delivery])
            raise
        finally:
            del self._running[job.key]
        await self._settle(job, disposition)

    async def _execute_many(self, jobs: Sequence[Job]) -> None:
        try:
            dispositions = await self._executor.execute_many([job.command for job in jobs])
        except Exception as error:
            log.error("commands could not be handled", participant=self._participant, exc_info=error)
            self._let_go([job.delivery for job in jobs])
            return
        finally:
            for job in jobs:
                del self._running[job.key]
        for job, disposition in zip(jobs, dispositions, strict=True):
            await self._settle(job, disposition)

    async def _settle(self, job: Job, disposition: Disposition) -> None:
        try:
            known = self._executor.knows(job.command.command)
            name = job.command.command if known else UNKNOWN
            match disposition:
                case Answered(answer):
                    fault = answer.code if answer.outcome is Outcome.FAILED else None
                    self._accounts.close(job, name, answer.outcome.value, fault)
                    self._replies.put(Conclusion(job.delivery, (self._reply(job.command, answer),)))
                case Dead(reason, answer):
                    self._accounts.close(job, name, "dead", reason)
                    log.error("command goes to the dead letters", key=job.key, reason=reason, **about(job.command))
                    self._bury(job.delivery, reason, (self._reply(job.command, answer),))
                case Dropped(reason):
                    self._accounts.close(job, name, "dropped", reason)
                    # That a handler is missing was told by who found it so, once for all sagas.
                    if known:
                        log.info("command dropped", key=job.key, reason=reason, **about(job.command))
                    await self._subscription.ack([job.delivery])
                    self._let_go([job.delivery])
                case PutBack(reason):
                    # What follows the colon is the database's own words, which may hold values.
                    self._accounts.close(job, name, "put_back", reason.partition(": ")[0])
                    if known:
                        self._tell_trouble(job.command, reason)
                    await self._put_back(job.delivery)
        except Exception as error:
            log.error("a command could not be settled: it comes again", key=job.key, exc_info=error)
            self._let_go([job.delivery])

    def _reply(self, command: Command, answer: Answer) -> Message:
        return reply_to_message(reply_to(command, answer, self._executor.fences(command.command)))

    def _poisoned(self, message: Message, reason: str) -> tuple[Message, ...]:
        """The answer to a command that cannot be read, where it says who waits for one."""
        command = command_without_body(message)
        if isinstance(command, Unreadable):
            return ()
        return (self._reply(command, failed(POISON, f"the command cannot be read: {reason}")),)

    def _bury(self, delivery: Delivery, reason: str, replies: tuple[Message, ...]) -> None:
        self._replies.put(Conclusion(delivery, (dead_letter(self._participant, delivery.message, reason), *replies)))

    async def _put_back(self, delivery: Delivery) -> None:
        delay = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(delivery.deliveries - 1, 10))
        try:
            await self._subscription.retry_later([delivery], delay)
        finally:
            self._let_go([delivery])

    def _give_up_hanging(self) -> None:
        """Make room for others where a handler hangs in its thread. Its key stays taken: nobody else here runs it."""
        now = self._clock.now()
        for call in self._calls.give_up(now):
            for command in call.commands:
                log.error(
                    "a handler hangs: its thread is replaced, its command is left to other workers; give what it calls "
                    "a time limit, and restart this worker to end it",
                    participant=self._participant,
                    command=command.command,
                    key=command.key,
                    **about(command),
                    seconds=(now - (call.began or now)) // 1_000_000,
                )
                self._let_go([self._running[command.key].delivery])
        self._runners.join()
        self._batches.join()

    def _let_go(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._open.pop(id(delivery), None)
        self._counters.open = len(self._open)
        self._tell()

    def _adapt(self, taken: int) -> None:
        """All that was `taken` last has begun: take more at once when none of it waits, and there was as much."""
        if self._runners.waiting:
            self._at_once = self._concurrency
        elif taken >= self._at_once:
            self._at_once = min(MOST_AT_ONCE, 2 * self._at_once)

    def _room(self) -> int:
        """How many deliveries can begin now."""
        if self._runners.queued:
            return 0
        waiting = self._runners.waiting
        free = self._concurrency + self._calls.hanging - waiting if waiting else self._at_once
        if self._executor.batching:
            free = min(free, self._batches.room or self._behind())
        return min(free, MOST_OPEN - len(self._open))

    def _behind(self) -> int:
        """How many to take beyond a full batch: commands that need not wait for one may come behind those that do.

        As many as can begin, for as long as such commands are found, and once at every beat: what has to wait anyway
        is better left to other workers.
        """
        return self._concurrency if self._look_behind else 0

    def _tell(self) -> None:
        self._changed.set()

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()

    def _tell_trouble(self, command: Command, reason: str) -> None:
        """Once per ten seconds: an outage puts back every command there is."""
        now = self._clock.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_US
            log.warning(
                "command put back", participant=self._participant, key=command.key, reason=reason, **about(command)
            )
