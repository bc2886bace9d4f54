"""Sends again what sagas have published since a time, for a broker that has lost it.

Owns which events those are and their order. What was never acknowledged is the relay's to send, and is left to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final
from uuid import UUID

from saga_engine.envelope import DomainEvent, StreamHead
from saga_engine.errors import SagaEngineError, UnavailableError
from saga_engine.immutable import dataclass
from saga_engine.orchestrator.client import Client
from saga_engine.ports.store import StreamFilter
from saga_engine.ports.transport import Transport
from saga_engine.wire.events import event_to_message

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Published:
    """A saga, and what it has published since a time, in order. `trouble`: why that cannot be known."""

    saga_id: UUID
    events: Sequence[DomainEvent]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Resent:
    """How much of what one saga has published the broker has again."""

    published: Published
    sent: int


def published_since(client: Client, since: int, saga: str | None = None) -> Iterator[Sequence[Published]]:
    """Page by page, newest saga first, the sagas that have published something since then (microseconds).

    Among them are those that cannot be read: what is missing at the broker must not wait for them.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    before: UUID | None = None
    while page := client.list(StreamFilter(saga=saga, before=before, limit=_PAGE)):
        before = page[-1].stream_id
        found = (_of(client, head, since) for head in page if head.ended_at is None or head.ended_at >= since)
        if some := [one for one in found if one.events or one.trouble]:
            yield some


async def resend(transport: Transport, page: Sequence[Published]) -> AsyncIterator[Resent]:
    """Send these events again under their ids, of each saga one after the other; of a saga that fails no more."""
    left = {one.saga_id: deque(one.events) for one in page}
    sent = dict.fromkeys(left, 0)
    while wave := [(saga_id, events.popleft()) for saga_id, events in left.items() if events]:
        confirmed = await transport.publish([event_to_message(event) for _, event in wave])
        for (saga_id, _), ok in zip(wave, confirmed, strict=True):
            if ok:
                sent[saga_id] += 1
            else:
                left[saga_id].clear()
    for one in page:
        yield Resent(one, sent[one.saga_id])


def _of(client: Client, head: StreamHead, since: int) -> Published:
    try:
        view = client.view(head.stream_id)
    except UnavailableError:
        raise
    except SagaEngineError as error:
        return Published(head.stream_id, (), str(error))
    events = [
        DomainEvent(
            head.stream_id,
            head.saga,
            head.key,
            version,
            event.name,
            event.subject,
            event.data,
            event.at,
            view.state.traceparent,
        )
        for version, event in sorted(view.emitted.items())
        if event.at >= since and version <= view.head.published
    ]
    return Published(head.stream_id, events)
