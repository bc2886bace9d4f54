"""The domain events that anybody publishes, pulled by durable consumers of their own on whatever streams keep them.

Owns which stream that is, from when on a consumer reads, and noticing that either has changed. Reads no event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import nats.errors
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import BadRequestError, NotFoundError

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.streams import ConsumerName, capture_event_subject, manager
from saga_engine.adapters.nats.subscription import NatsSubscription
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.events import HeardEvent, Listening
from saga_engine.tasks import end_tasks

ACK_WAIT: Final = 30.0
"""Seconds after which an event that was not settled goes to another process."""

_LOOK: Final = 10.0
"""How often, in seconds, it is asked which stream keeps the events."""

_MOST_PENDING: Final = 100_000
_SHORT_TOKENS: Final = 9
"""Of `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<consumer sequence>.<time>.<pending>`.

The longer form has domain and account in front of the stream.
"""


class NatsEventFeed:
    """See `ports.EventFeed`. `provision`: may make consumers, and let a stream take a subject that none takes."""

    def __init__(self, connection: Connection, provision: bool) -> None:
        self._connection = connection
        self._provision = provision
        self._created: dict[str, datetime | None] = {}

    async def listen(self, wanted: Sequence[Listening]) -> NatsEventSubscription:
        """See `ports.EventFeed`."""
        session = await self._connection.session()
        try:
            streams = {one.name: await session.ask(self.stream_of(session, one.subject)) for one in wanted}
            consumers = [ConsumerName(streams[one.name], one.name, one.subject) for one in wanted]
            for consumer in consumers:
                await session.ask(self.provide(session, consumer))
        except nats.errors.Error as error:
            reason = str(error) or type(error).__name__
            raise TransportUnavailableError(
                f"nats: no stream at {self._connection.address} keeps the events of "
                f"{', '.join(sorted({one.subject for one in wanted}))} ({reason}); run `saga nats provision`"
            ) from error
        inner = NatsSubscription(self._connection, consumers, self.provide, ACK_WAIT, lambda _closed: None)
        return NatsEventSubscription(inner, self, self._connection, {one.subject: streams[one.name] for one in wanted})

    async def stream_of(self, session: Session, subject: str) -> str:
        """The stream that keeps a subject; `SAGA_EVENTS` takes what none does. Raises nats-py's errors."""
        if self._provision:
            await capture_event_subject(session.client, subject)
        return await manager(session.client).find_stream_name_by_subject(subject)

    async def provide(self, session: Session, consumer: ConsumerName) -> None:
        """Make sure that the consumer is there; one that is there is left as it is. Raises nats-py's errors."""
        if not self._provision:
            return
        await capture_event_subject(session.client, consumer.filter)
        jetstream = manager(session.client)
        created = (await jetstream.stream_info(consumer.stream)).created
        known = self._created.setdefault(consumer.stream, created)
        try:
            await jetstream.consumer_info(consumer.stream, consumer.name)
        except NotFoundError:
            # Nobody wants to see a week of old orders handled again. What a stream has that was made since we listen
            # was published since.
            policy = DeliverPolicy.NEW if known == created else DeliverPolicy.ALL
            try:
                await jetstream.add_consumer(consumer.stream, _configuration(consumer, policy))
            except BadRequestError:
                # Another process has made it meanwhile, with the other policy.
                await jetstream.consumer_info(consumer.stream, consumer.name)
        self._created[consumer.stream] = created


class NatsEventSubscription:
    """See `ports.EventSubscription`. `streams`: where each subject was kept when this was made."""

    def __init__(
        self, inner: NatsSubscription, feed: NatsEventFeed, connection: Connection, streams: Mapping[str, str]
    ) -> None:
        self._inner = inner
        self._feed = feed
        self._connection = connection
        self._streams = streams
        self._looking = asyncio.create_task(self._look(), name="nats-event-streams")

    async def receive(self, limit: int) -> Sequence[HeardEvent]:
        """See `ports.EventSubscription`."""
        heard: list[HeardEvent] = []
        for delivery in await self._inner.receive(limit):
            tokens = str(delivery.token).split(".")
            first = 2 if len(tokens) == _SHORT_TOKENS else 4
            heard.append(HeardEvent(tokens[first + 1], int(tokens[first + 5]) // 1000, delivery))
        return heard

    async def ack(self, events: Sequence[HeardEvent]) -> None:
        """See `ports.EventSubscription`."""
        await self._inner.ack([event.delivery for event in events])

    async def retry_later(self, events: Sequence[HeardEvent], delay: float) -> None:
        """See `ports.EventSubscription`."""
        await self._inner.retry_later([event.delivery for event in events], delay)

    async def close(self) -> None:
        """See `ports.EventSubscription`."""
        await end_tasks([self._looking])
        await self._inner.close()

    async def _look(self) -> None:
        """Let subjects be taken again that their stream has forgotten; end when another stream has them now."""
        while True:
            await asyncio.sleep(_LOOK)
            session = self._connection.current
            if session is None:
                continue
            try:
                for subject, stream in self._streams.items():
                    if await session.ask(self._feed.stream_of(session, subject)) != stream:
                        await self._inner.close()
                        return
            except nats.errors.Error:
                # A server that does not answer is waited for; a stream that is missing is being made again.
                continue


def _configuration(consumer: ConsumerName, policy: DeliverPolicy) -> ConsumerConfig:
    return ConsumerConfig(
        name=consumer.name,
        durable_name=consumer.name,
        filter_subject=consumer.filter,
        deliver_policy=policy,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT,
        max_deliver=-1,
        max_ack_pending=_MOST_PENDING,
    )
