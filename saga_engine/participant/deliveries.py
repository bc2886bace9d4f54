"""What happens to the deliveries that a worker has taken: each is executed, and settled in exactly one way.

Owns which of them are open, and the delays of those that are put back. Knows no handler and no subject.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from saga_engine.envelope import Command, Message
from saga_engine.participant.answers import Answer, Answered, Dead, Disposition, Dropped, PutBack, failed, reply_to
from saga_engine.participant.executor import Executor
from saga_engine.participant.replies import Outgoing, Replies
from saga_engine.participant.threads import HandlerThreads
from saga_engine.ports import Clock, Delivery, Subscription, Transport
from saga_engine.wire import (
    POISON,
    Unreadable,
    command_without_body,
    dead_letter,
    message_to_command,
    reply_to_message,
)

_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 10.0
_QUIET_US: Final = 10_000_000

LONGEST_RUN_US: Final = 600_000_000
"""After so long, and past the deadline of its send, a handler in a thread is taken to hang."""

log = structlog.get_logger("saga_engine.participant")


class Deliveries:
    """The open deliveries of one worker: at most `concurrency` of them run, as many again wait for their reply's ack.

    A delivery whose handling itself goes wrong is let go of: it comes again after its ack wait. So is one whose handler
    hangs: it makes room for another, and should it come back after all, it is answered.
    """

    def __init__(
        self,
        participant: str,
        executor: Executor,
        transport: Transport,
        subscription: Subscription,
        clock: Clock,
        concurrency: int,
        threads: HandlerThreads,
    ) -> None:
        self._participant = participant
        self._executor = executor
        self._subscription = subscription
        self._clock = clock
        self._concurrency = concurrency
        self._replies = Replies(transport, subscription, clock, self._let_go)
        self._open: dict[int, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[str, tuple[Delivery, Command]] = {}
        self._hanging: set[str] = set()
        self._threads = threads
        self._changed = asyncio.Event()
        self._quiet_until = 0

    async def receive(self) -> None:
        """Take deliveries for ever, as many as there is room for."""
        while True:
            await self._until(lambda: self._free() > 0)
            for delivery in await self._subscription.receive(self._free()):
                self._open[id(delivery)] = delivery
                task = asyncio.create_task(self._handle(delivery))
                self._tasks.add(task)
                task.add_done_callback(partial(self._ran, delivery))

    async def answer(self) -> None:
        """Send replies for ever."""
        await self._replies.run()

    async def beat(self, interval: float) -> None:
        """For ever, every `interval` seconds, keep what is open from being delivered to somebody else."""
        while True:
            await self._clock.sleep(interval)
            self._give_up_hanging()
            if self._open:
                await self._subscription.in_progress(list(self._open.values()))

    async def settled(self) -> None:
        """Wait until nothing is open."""
        await self._until(lambda: not self._open)

    async def hand_back(self) -> None:
        """Stop waiting for what still runs and put all that is open back for another worker, at once."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._open:
            await self._subscription.retry_later(list(self._open.values()), 0)
            self._open.clear()

    async def _handle(self, delivery: Delivery) -> None:
        command = message_to_command(delivery.message)
        if isinstance(command, Unreadable):
            log.warning("unreadable command", participant=self._participant, reason=command.reason)
            self._bury(delivery, command.reason, self._poisoned(delivery.message, command.reason))
            return
        if command.key in self._running:
            # Two of one key would only wait for each other, and a handler that hangs would take every thread.
            await self._put_back(delivery)
            return
        self._running[command.key] = (delivery, command)
        try:
            disposition = await self._executor.execute(command, delivery.deliveries > 1)
        finally:
            del self._running[command.key]
            if command.key in self._hanging:
                self._hanging.remove(command.key)
                self._threads.take_back()
        await self._settle(delivery, command, disposition)

    async def _settle(self, delivery: Delivery, command: Command, disposition: Disposition) -> None:
        match disposition:
            case Answered(answer):
                self._replies.put(Outgoing(delivery, (self._reply(command, answer),)))
            case Dead(reason, answer):
                log.error("command goes to the dead letters", key=command.key, reason=reason)
                self._bury(delivery, reason, (self._reply(command, answer),))
            case Dropped(reason):
                log.info("command dropped", key=command.key, reason=reason)
                await self._subscription.ack([delivery])
                self._let_go(delivery)
            case PutBack(reason):
                self._tell_trouble(command, reason)
                await self._put_back(delivery)

    def _reply(self, command: Command, answer: Answer) -> Message:
        return reply_to_message(reply_to(command, answer, self._executor.fences(command.command)))

    def _poisoned(self, message: Message, reason: str) -> tuple[Message, ...]:
        """The answer to a command that cannot be read, where it says who waits for one."""
        command = command_without_body(message)
        if isinstance(command, Unreadable):
            return ()
        return (self._reply(command, failed(POISON, f"the command cannot be read: {reason}")),)

    def _bury(self, delivery: Delivery, reason: str, replies: tuple[Message, ...]) -> None:
        self._replies.put(Outgoing(delivery, (dead_letter(self._participant, delivery.message, reason), *replies)))

    async def _put_back(self, delivery: Delivery) -> None:
        delay = min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(delivery.deliveries - 1, 10))
        await self._subscription.retry_later([delivery], delay)
        self._let_go(delivery)

    def _give_up_hanging(self) -> None:
        """Make room for others where a handler hangs in its thread. Its key stays taken: nobody else here runs it."""
        now = self._clock.now()
        for key, (delivery, command) in self._running.items():
            began = self._executor.in_thread_since(key)
            if key in self._hanging or began is None or now <= max(began + LONGEST_RUN_US, command.deadline):
                continue
            self._hanging.add(key)
            log.error(
                "a handler hangs: its thread is replaced, its command is left to other workers; give what it calls a "
                "time limit, and restart this worker to end it",
                participant=self._participant,
                command=command.command,
                key=key,
                seconds=(now - began) // 1_000_000,
            )
            self._threads.replace_one()
            self._let_go(delivery)

    def _ran(self, delivery: Delivery, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a command could not be handled", subject=delivery.message.subject, exc_info=error)
            self._let_go(delivery)
        self._changed.set()

    def _let_go(self, delivery: Delivery) -> None:
        self._open.pop(id(delivery), None)
        self._changed.set()

    def _free(self) -> int:
        return min(self._concurrency + len(self._hanging) - len(self._tasks), 2 * self._concurrency - len(self._open))

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()

    def _tell_trouble(self, command: Command, reason: str) -> None:
        """Once per ten seconds: an outage puts back every command there is."""
        now = self._clock.now()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_US
            log.warning("command put back", participant=self._participant, key=command.key, reason=reason)
