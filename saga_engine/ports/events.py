"""What is heard of domain events: a bell that rings for what was published, and a feed of what others publish.

Knows no NATS, and not what a saga makes of an event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from saga_engine.immutable import dataclass
from saga_engine.ports.transport import Delivery


class EventBell(Protocol):
    """Hears which sagas publish something. Best effort: what is missed is found in the store."""

    async def listen(self, share: str, subjects: Sequence[str], heard: Callable[[UUID], None]) -> None:
        """Call `heard(saga id)` for events on the engine's own subjects and on these.

        It goes on for as long as there is a connection. Of those that listen with the same `share`, one hears each
        event.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listening:
    """Who wants the domain events of a subject: a durable `name`, under which each event is taken once."""

    name: str
    subject: str


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """A domain event for who listens as `listening`. `at`: since when the broker has it, in microseconds."""

    listening: str
    at: int
    delivery: Delivery


class EventSubscription(Protocol):
    """Domain events, durable: what is not settled within its ack wait is delivered again."""

    async def receive(self, limit: int) -> Sequence[HeardEvent]:
        """As `Subscription.receive`. Raises `TransportUnavailableError` once it is closed or has to be made anew."""
        ...

    async def ack(self, events: Sequence[HeardEvent]) -> None:
        """Done with these. Best effort: a lost ack is a later redelivery."""
        ...

    async def retry_later(self, events: Sequence[HeardEvent], delay: float) -> None:
        """Put these back, to be delivered again after `delay` seconds."""
        ...

    async def close(self) -> None:
        """Stop receiving. Unsettled events go to others after the ack wait."""
        ...


class EventFeed(Protocol):
    """The domain events that anybody publishes, for those who act on them."""

    async def listen(self, wanted: Sequence[Listening]) -> EventSubscription:
        """All of these as one flow, each from when it was first listened for. Shared by all who use the same names.

        Raises `TransportUnavailableError` when the broker does not answer, or keeps none of these events.
        """
        ...
