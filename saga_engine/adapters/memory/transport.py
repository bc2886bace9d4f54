"""The `Transport` over a `MemoryBroker`: for tests, simulation and trying things out in one process.

Owns waiting and closing; what is delivered when is the broker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.dead_letters import MemoryDeadLetters
from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.transport import Delivery, Subscription


class MemoryTransport:
    """See `ports.Transport`. `publish_timeout`: how long, in seconds, an unreachable broker is waited for."""

    def __init__(self, broker: MemoryBroker, *, publish_timeout: float = 5.0) -> None:
        self._broker = broker
        self._publish_timeout = publish_timeout
        self._subscriptions: list[MemorySubscription] = []
        self._closed = False

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """See `ports.Transport`."""
        try:
            async with asyncio.timeout(self._publish_timeout):
                await self._broker.up.wait()
        except TimeoutError:
            return [False] * len(messages)
        await asyncio.sleep(0)
        if self._closed or not self._broker.up.is_set():
            return [False] * len(messages)
        return [self._broker.store(_as_sent(message)) for message in messages]

    async def commands(self, participant: str) -> Subscription:
        """See `ports.Transport`."""
        return self._subscribe([f"saga.command.{participant}"])

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """See `ports.Transport`."""
        return self._subscribe([f"saga.reply.{partition}" for partition in partitions])

    async def ring(self, partitions: Sequence[int]) -> None:
        """See `ports.Transport`."""
        if self._broker.up.is_set() and not self._closed:
            for partition in partitions:
                self._broker.ring(partition)

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """See `ports.Transport`."""
        end = self._broker.on_ring(ringing)

        async def stop() -> None:
            end()

        return stop

    def dead_letters(self) -> MemoryDeadLetters:
        """The dead letters of this broker."""
        return MemoryDeadLetters(self._broker)

    def losses(self) -> int:
        """See `ports.Transport`."""
        return self._broker.wipes_noticed()

    async def close(self) -> None:
        """See `ports.Transport`. May be repeated."""
        self._closed = True
        for subscription in self._subscriptions:
            await subscription.close()
        self._subscriptions.clear()

    def _subscribe(self, queues: Sequence[str]) -> Subscription:
        subscription = MemorySubscription(self._broker, queues)
        self._subscriptions.append(subscription)
        return subscription


class MemorySubscription:
    """See `ports.Subscription`. Made by `MemoryTransport`."""

    def __init__(self, broker: MemoryBroker, queues: Sequence[str]) -> None:
        self._broker = broker
        self._queues = tuple(queues)
        self._news = asyncio.Event()
        self._closed = False
        self._end_watch = broker.watch(self._news.set, self._queues)

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `ports.Subscription`."""
        while True:
            self._news.clear()
            await asyncio.sleep(0)
            if self._closed:
                raise TransportUnavailableError("memory broker: the subscription is closed")
            taken: list[Delivery] = []
            if self._broker.up.is_set():
                for queue in self._queues:
                    taken += self._broker.deliver(queue, limit - len(taken))
            if taken:
                return taken
            await self._wait()

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        for sequence in self._settled(deliveries):
            self._broker.remove(sequence)

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """See `ports.Subscription`."""
        for sequence in self._settled(deliveries):
            self._broker.postpone(sequence, delay)

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        for sequence in self._settled(deliveries):
            self._broker.postpone(sequence, self._broker.ack_wait)

    async def close(self) -> None:
        """See `ports.Subscription`."""
        self._closed = True
        self._end_watch()
        self._news.set()

    def _settled(self, deliveries: Sequence[Delivery]) -> Sequence[int]:
        """What reaches the broker of a settlement: nothing during an outage."""
        if not self._broker.up.is_set():
            return ()
        return [delivery.token for delivery in deliveries if isinstance(delivery.token, int)]

    async def _wait(self) -> None:
        """Until something is published, the broker is back, or the first delivery comes again."""
        due = self._broker.next_due(self._queues) if self._broker.up.is_set() else None
        try:
            async with asyncio.timeout_at(due):
                await self._news.wait()
        except TimeoutError:
            return


def _as_sent(message: Message) -> Message:
    """What the wire makes of headers: no line breaks, no space around values."""
    headers = {name: value.replace("\r", " ").replace("\n", " ").strip() for name, value in message.headers.items()}
    return replace(message, headers=headers)
