"""Between a worker and the broker: what a silent participant does not take, and does not answer.

Owns what becomes of messages during a silence. When one is kept is the script's to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from saga_engine.envelope import Command, Message
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery, Subscription, Transport
from saga_engine.testing.scripted import ScriptedParticipant
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.headers import KEY
from saga_engine.wire.reading import Unreadable

_MICROSECOND: Final = 1_000_000


class SilenceableTransport:
    """See `ports.Transport`. Made for the worker of one participant."""

    def __init__(self, inner: Transport, participant: ScriptedParticipant, clock: Clock) -> None:
        self._inner = inner
        self._participant = participant
        self._clock = clock
        self._asked: dict[str, Command] = {}

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """See `ports.Transport`. A reply that nobody is to hear is taken for sent."""
        heard = [not self._is_muted(message) for message in messages]
        sent = iter(await self._inner.publish([m for m, said in zip(messages, heard, strict=True) if said]))
        return [next(sent) if said else True for said in heard]

    async def commands(self, participant: str) -> Subscription:
        """See `ports.Transport`."""
        return _SilenceableSubscription(await self._inner.commands(participant), self._comes)

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """See `ports.Transport`."""
        return await self._inner.replies(partitions)

    async def ring(self, partitions: Sequence[int]) -> None:
        """See `ports.Transport`."""
        await self._inner.ring(partitions)

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """See `ports.Transport`."""
        return await self._inner.on_ring(ringing)

    def losses(self) -> int:
        """See `ports.Transport`."""
        return self._inner.losses()

    async def close(self) -> None:
        """See `ports.Transport`."""
        await self._inner.close()

    def _comes(self, delivery: Delivery) -> float | None:
        """A command arrives: for how many seconds it is to be held back, infinitely for ever; None: not at all."""
        command = message_to_command(delivery.message)
        if isinstance(command, Unreadable):
            return None
        if delivery.deliveries == 1:
            self._participant.received.append(command)
        self._asked[command.key] = command
        silence = self._participant.silence(command.command, command.payload)
        if silence is None or silence.after_effect:
            return None
        if silence.until is None:
            return float("inf")
        return (silence.until - self._clock.now()) / _MICROSECOND

    def _is_muted(self, message: Message) -> bool:
        command = self._asked.get(message.headers.get(KEY, ""))
        if command is None:
            return False
        silence = self._participant.silence(command.command, command.payload)
        return silence is not None and silence.after_effect


class _SilenceableSubscription:
    """See `ports.Subscription`. `held`: for how many seconds a delivery is to be held back."""

    def __init__(self, inner: Subscription, held: Callable[[Delivery], float | None]) -> None:
        self._inner = inner
        self._held = held

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `ports.Subscription`. What the participant does not take now comes again; or never."""
        while True:
            taken: list[Delivery] = []
            for delivery in await self._inner.receive(limit):
                seconds = self._held(delivery)
                if seconds is None:
                    taken.append(delivery)
                elif seconds == float("inf"):
                    await self._inner.ack([delivery])
                else:
                    await self._inner.retry_later([delivery], seconds)
            if taken:
                return taken

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        await self._inner.ack(deliveries)

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """See `ports.Subscription`."""
        await self._inner.retry_later(deliveries, delay)

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        await self._inner.in_progress(deliveries)

    async def close(self) -> None:
        """See `ports.Subscription`."""
        await self._inner.close()
