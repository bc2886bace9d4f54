"""The `Transport` over NATS JetStream: puts connection, publisher, pulls, doorbell and stream watch together.

`connect` is the way in. Owns no protocol detail.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import nats.errors
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.dead_letters import NatsDeadLetters
from saga_engine.adapters.nats.doorbell import Doorbell
from saga_engine.adapters.nats.event_bell import NatsEventBell
from saga_engine.adapters.nats.event_feed import NatsEventFeed
from saga_engine.adapters.nats.publisher import Publisher
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import (
    STREAMS,
    ConsumerName,
    capture_event_subject,
    capture_event_types,
    command_consumer,
    ensure_consumer,
    ensure_lasting_consumer,
    reply_consumer,
    reply_consumers,
    stream_mark,
)
from saga_engine.adapters.nats.subscription import NatsSubscription
from saga_engine.adapters.nats.watch import StreamWatch
from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.events import Listening
from saga_engine.ports.transport import Subscription


class NatsTransport:
    """See `ports.Transport`. Made by `connect`."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings
        self._connection = Connection(settings)
        self._publisher = Publisher(self._connection, settings.publish_timeout, self._missed)
        self._doorbell = Doorbell(self._connection)
        self._watch = StreamWatch(self._connection, settings, self._publisher)
        self._subscriptions: set[NatsSubscription] = set()

    async def open(self, wait: float) -> None:
        """Connect and make the streams. See `connect`."""
        try:
            await self._connection.open(wait)
        except BaseException:
            await self._connection.close()
            raise
        self._watch.start()

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """See `ports.Transport`. A full stream or an oversized message gives False without waiting."""
        return await self._publisher.publish(messages)

    async def commands(self, participant: str) -> Subscription:
        """See `ports.Transport`."""
        return self._subscribe([command_consumer(participant)])

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """See `ports.Transport`."""
        return self._subscribe([reply_consumer(partition) for partition in partitions])

    async def ring(self, partitions: Sequence[int]) -> None:
        """See `ports.Transport`."""
        await self._doorbell.ring(partitions)

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """See `ports.Transport`."""
        return await self._doorbell.listen(ringing)

    def dead_letters(self) -> NatsDeadLetters:
        """The dead letters, over this connection."""
        return NatsDeadLetters(self._connection, self._settings.provision)

    def event_bell(self) -> NatsEventBell:
        """What sagas publish, heard over this connection."""
        return NatsEventBell(self._connection, self._settings.provision)

    def event_feed(self) -> NatsEventFeed:
        """The domain events that anybody publishes, over this connection."""
        return NatsEventFeed(self._connection, self._settings.provision)

    async def provision(
        self, participants: Sequence[str], event_subjects: Sequence[str], listening: Sequence[Listening] = ()
    ) -> None:
        """Make the consumers of these participants, of all replies and of who listens; let these subjects be taken.

        The streams were made by `connect`. Raises `TransportUnavailableError` when the server does not answer or
        refuses.
        """
        session = await self._connection.session()
        consumers = [*(command_consumer(one) for one in participants), *reply_consumers()]
        try:
            for consumer in consumers:
                await session.ask(ensure_lasting_consumer(session.client, consumer, self._settings.ack_wait))
            for subject in event_subjects:
                await session.ask(capture_event_subject(session.client, subject))
            feed = self.event_feed()
            for one in listening:
                stream = await session.ask(feed.stream_of(session, one.subject))
                await session.ask(feed.provide(session, ConsumerName(stream, one.name, one.subject)))
        except nats.errors.Error as error:
            reason = str(error) or type(error).__name__
            raise TransportUnavailableError(
                f"nats: the consumers could not be made at {self._connection.address}: {reason}"
            ) from error

    async def keep_events(self, event_types: Sequence[str]) -> None:
        """Let a stream keep the domain events of these types, patterns of subjects. Raises as `provision`."""
        session = await self._connection.session()
        try:
            for pattern in event_types:
                await session.ask(capture_event_types(session.client, pattern))
        except nats.errors.Error as error:
            reason, kept = str(error) or type(error).__name__, ", ".join(event_types)
            raise TransportUnavailableError(
                f"nats: no stream at {self._connection.address} could be made to keep {kept}: {reason}"
            ) from error

    async def streams(self) -> Sequence[str]:
        """Those of the engine's streams that are there. Raises `TransportUnavailableError` as `provision`."""
        session = await self._connection.session()
        try:
            marks = {name: await session.ask(stream_mark(session.client, name)) for name in STREAMS}
        except nats.errors.Error as error:
            reason = str(error) or type(error).__name__
            address = self._connection.address
            raise TransportUnavailableError(f"nats: the streams cannot be asked for at {address}: {reason}") from error
        return [name for name, mark in marks.items() if mark is not None]

    @property
    def connected(self) -> bool:
        """Whether there is a connection that works. A peer that is silent is given up within seconds: see `Connection`.

        A ping of our own would not do: nats-py ends its connection when it is answered after we gave up waiting.
        """
        return self._connection.current is not None

    def losses(self) -> int:
        """See `ports.Transport`. Streams that did not exist when we connected count as one loss."""
        return self._watch.losses

    async def close(self) -> None:
        """See `ports.Transport`. The bound is the settings' close timeout. May be repeated."""
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        await self._watch.close()
        await self._connection.close()

    def _subscribe(self, consumers: Sequence[ConsumerName]) -> NatsSubscription:
        subscription = NatsSubscription(
            self._connection, consumers, self._provide, self._settings.ack_wait, self._subscriptions.discard
        )
        self._subscriptions.add(subscription)
        return subscription

    async def _provide(self, session: Session, consumer: ConsumerName) -> None:
        if not self._settings.provision:
            return
        try:
            await ensure_consumer(session.client, consumer, self._settings.ack_wait)
        except NotFoundError:
            await self._watch.check(session)
            await ensure_consumer(session.client, consumer, self._settings.ack_wait)

    def _missed(self, subjects: frozenset[str]) -> None:
        self._watch.missed(subjects)


async def connect(settings: NatsSettings, *, wait: float = 5.0) -> NatsTransport:
    """Connect to NATS and make the streams, trying for at least `wait` seconds.

    Later outages are waited out for ever. Raises `TransportUnavailableError` when the server cannot be reached or
    refuses the login, `UsageError` for bad settings, an old server, one without JetStream, or streams that cannot
    serve.
    """
    transport = NatsTransport(settings)
    await transport.open(wait)
    return transport
