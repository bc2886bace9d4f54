"""Replies from the broker to the agenda: is it a reply, of the right saga, from whom it says, with our token?

Owns receiving and checking. Decides nothing: an input that passes may still turn out to be late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import structlog

from saga_engine.core.inputs import ReplyReceived
from saga_engine.envelope import Message, partition_of
from saga_engine.errors import TransportUnavailableError
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.ports import Clock, Delivery, Subscription, Transport
from saga_engine.wire import Unreadable, dead_letter, message_to_reply

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A genuine reply, as an input for its saga."""

    saga_id: UUID
    input: ReplyReceived


@dataclass(frozen=True, slots=True)
class Forged:
    """Not an answer to anything that this participant was asked. Counted and dropped."""

    participant: str


Checked: TypeAlias = Accepted | Forged | Unreadable


def check_reply(message: Message, tokens: Tokens, at: int) -> Checked:
    """Read and check one reply. `Unreadable` belongs to the dead letters, `Forged` is dropped."""
    reply = message_to_reply(message)
    if isinstance(reply, Unreadable):
        return reply
    address = reply.address
    if not tokens.check(reply.token, address.key, reply.participant):
        return Forged(reply.participant)
    if reply.partition != partition_of(address.saga_id):
        return Unreadable(f"partition {reply.partition} is not the saga's")
    return Accepted(
        address.saga_id,
        ReplyReceived(
            at,
            address.step,
            address.item,
            address.direction,
            reply.attempt,
            reply.send,
            reply.outcome,
            reply.result,
            reply.code,
            reply.message,
            reply.effect,
            reply.fenced,
        ),
    )


class Intake:
    """Receives the replies of the partitions held, and puts the genuine ones on the agenda.

    Stops receiving while the agenda is full: what is not received stays with the broker.
    """

    def __init__(
        self, transport: Transport, tokens: Tokens, clock: Clock, agenda: Agenda, counters: Counters, backlog: int
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._clock = clock
        self._agenda = agenda
        self._counters = counters
        self._backlog = backlog
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    async def listen(self, partitions: frozenset[int]) -> asyncio.Task[None] | None:
        """Receive from exactly these partitions from now on. The task that does, for whoever must know if it fails."""
        await self.close()
        if partitions:
            self._subscription = await self._transport.replies(sorted(partitions))
            self._task = asyncio.create_task(self._receive(self._subscription))
        return self._task

    async def pause(self) -> None:
        """Receive no more. What was received can still be settled, until `close`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def close(self) -> None:
        if self._subscription is not None and self._task is not None:
            await self._subscription.close()
            self._task.cancel()
            await asyncio.wait([self._task])
        self._subscription = self._task = None

    async def done_with(self, deliveries: Sequence[Delivery]) -> None:
        """These are committed, or nothing follows from them."""
        if deliveries and self._subscription is not None:
            await self._subscription.ack(deliveries)

    async def put_back(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """These cannot be worked on now; they come again after `delay` seconds."""
        if deliveries and self._subscription is not None:
            await self._subscription.retry_later(deliveries, delay)

    async def _receive(self, subscription: Subscription) -> None:
        while True:
            await self._agenda.room(self._backlog)
            try:
                deliveries = await subscription.receive(self._backlog)
            except TransportUnavailableError:
                return
            dead: list[Message] = []
            wrong = [delivery for delivery in deliveries if not self._take(delivery, dead)]
            if not dead or all(await self._transport.publish(dead)):
                await subscription.ack(wrong)

    def _take(self, delivery: Delivery, dead: list[Message]) -> bool:
        """Put a reply on the agenda. False: it goes no further, but for a letter to the dead."""
        self._counters.replies += 1
        checked = check_reply(delivery.message, self._tokens, self._clock.now())
        if isinstance(checked, Accepted):
            self._agenda.reply(checked.saga_id, checked.input, delivery)
            return True
        if isinstance(checked, Forged):
            self._counters.forged += 1
            if self._counters.forged.bit_count() == 1:
                _log.warning("replies with a wrong token", participant=checked.participant, count=self._counters.forged)
            return False
        self._counters.unreadable += 1
        dead.append(dead_letter("orchestrator", delivery.message, checked.reason))
        return False
