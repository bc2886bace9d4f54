"""What the engine needs of a broker: commands and replies, each at least once, received in batches.

Owns that contract, which one suite (`saga_engine.testing`) checks for every transport. Knows no NATS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from saga_engine.envelope import Message
from saga_engine.immutable import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message: `deliveries` counts from 1, `token` is the adapter's own handle for settling it."""

    message: Message
    deliveries: int
    token: object


class Subscription(Protocol):
    """A durable, batching consumer. What is not settled within its ack wait is delivered again."""

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait until there is at least one delivery, then return what has arrived, at most `limit`.

        Survives a server that goes away: it waits until it is back. Raises `TransportUnavailableError` once closed.
        """
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these. Best effort: a lost ack is a later redelivery."""
        ...

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """Put these back, to be delivered again after `delay` seconds."""
        ...

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """Still at work on these: the ack wait starts anew."""
        ...

    async def close(self) -> None:
        """Stop receiving. Unsettled deliveries go to others after the ack wait."""
        ...


class Transport(Protocol):
    """The doorbell. Anything it carries may be lost, repeated, delayed or reordered, even when it was acknowledged."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """Send all, in order, in a window; True for each that the broker acknowledged in time (also as a duplicate).

        False means unknown. Never raises for an unreachable broker: that is False for all, after the time limit.
        """
        ...

    async def commands(self, participant: str) -> Subscription:
        """The durable consumer of a participant's commands, shared by all its workers."""
        ...

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """The durable consumers of these partitions' replies, as one flow."""
        ...

    async def ring(self, partitions: Sequence[int]) -> None:
        """Wake whoever owns these partitions. Core NATS, best effort, never raises for an unreachable broker."""
        ...

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """Call `ringing(partition)` at each ring, until the returned function is awaited."""
        ...

    def losses(self) -> int:
        """How often the streams were found re-created or emptied under us: a change means that all is sent again."""
        ...

    async def close(self) -> None:
        """Close the connection after what was sent is flushed, within a bound."""
        ...
