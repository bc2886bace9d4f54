"""The JetStream streams and consumers of the engine: what they must be like, and making them so.

Owns names, configuration, the check of the server's version and of streams that somebody else made. Sends no message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.js import JetStreamManager
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
)
from nats.js.errors import APIError, NotFoundError, ServerError, ServiceUnavailableError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.envelope import PARTITIONS
from saga_engine.errors import UsageError
from saga_engine.subjects import covers
from saga_engine.wire.subjects import COMMANDS, DEAD, EVENTS, REPLIES

DUPLICATE_WINDOW: Final = 120.0
"""For how long, in seconds, a message id is dropped when it comes again."""

STREAMS: Final = (COMMANDS, REPLIES, EVENTS, DEAD)

_API_TIMEOUT: Final = 5.0
_MAX_ACK_PENDING: Final = 100_000
_OLDEST_SERVERS: Final = ((2, 11, 16), (2, 12, 7))
_STREAM_EXISTS: Final = 10058
_SUBJECTS_OVERLAP: Final = 10065
_CONSUMER_REFUSED: Final = 10012


@dataclass(frozen=True, slots=True)
class ConsumerName:
    """A durable pull consumer: on which stream, its name there, and which subjects it gets.

    `in_memory`: the server may forget what of it is in flight when it is restarted, so that this comes again at once.
    What it keeps in a file it writes anew ten times a second for each consumer, which for the replies of all partitions
    was a quarter of its work. Commands are kept: one that is being executed must not come to another worker as well.
    """

    stream: str
    name: str
    filter: str
    in_memory: bool = False


def command_consumer(participant: str) -> ConsumerName:
    return ConsumerName(COMMANDS, participant, f"saga.command.{participant}.>")


def reply_consumer(partition: int) -> ConsumerName:
    return ConsumerName(REPLIES, f"partition_{partition}", f"saga.reply.{partition}.>", in_memory=True)


def reply_consumers() -> Sequence[ConsumerName]:
    """Those of all partitions."""
    return [reply_consumer(partition) for partition in range(PARTITIONS)]


@dataclass(frozen=True, slots=True)
class StreamMark:
    """By what a stream is known again: when it was created, and its highest sequence so far."""

    created: datetime | None
    last_sequence: int


def manager(client: Client) -> JetStreamManager:
    return JetStreamManager(client, timeout=_API_TIMEOUT)


def stream_configs(settings: NatsSettings) -> Sequence[StreamConfig]:
    """The four streams. Work queues refuse what is new when they are full, rather than forget what is old."""
    queue = StreamConfig(retention=RetentionPolicy.WORK_QUEUE, discard=DiscardPolicy.NEW)
    log = StreamConfig(retention=RetentionPolicy.LIMITS, discard=DiscardPolicy.OLD)
    streams = (
        queue.evolve(name=COMMANDS, subjects=["saga.command.>"]),
        queue.evolve(name=REPLIES, subjects=["saga.reply.>"]),
        log.evolve(name=EVENTS, subjects=["saga.event.>"], max_age=settings.event_age),
        log.evolve(name=DEAD, subjects=["saga.dead.>"], max_age=settings.dead_age),
    )
    return tuple(
        stream.evolve(
            storage=StorageType.FILE, num_replicas=settings.replicas, duplicate_window=_window(stream.max_age)
        )
        for stream in streams
    )


def _window(max_age: float | None) -> float:
    """The server refuses a duplicate window that is longer than messages live."""
    return min(DUPLICATE_WINDOW, max_age) if max_age else DUPLICATE_WINDOW


def check_version(client: Client) -> None:
    """Raise `UsageError` for a server that is older than the fixes we rely on."""
    version = client.connected_server_version
    found = (version.major, version.minor, version.patch)
    series = found[:2]
    oldest = next((o for o in _OLDEST_SERVERS if o[:2] == series), _OLDEST_SERVERS[0])
    if found < oldest:
        wanted = " or ".join(".".join(map(str, o)) for o in _OLDEST_SERVERS)
        raise UsageError(
            f"nats: the server is version {'.'.join(map(str, found))}; expected at least {wanted}; upgrade nats-server"
        )


def check_payload_limit(client: Client, least: int) -> None:
    """Raise `UsageError` for a server that would refuse large commands, which would be sent again for ever."""
    if client.max_payload < least:
        raise UsageError(
            f"nats: the server takes messages of at most {client.max_payload:,} bytes; expected at least {least:,}; "
            "set max_payload in its configuration"
        )


async def ensure_stream(client: Client, wanted: StreamConfig) -> tuple[StreamMark, bool]:
    """Find a stream or create it; its mark, and whether it was created now.

    Raises `UsageError` when what is there cannot serve, naming what differs, and nats-py's errors when the server does
    not answer.
    """
    name = _name(wanted)
    jetstream = manager(client)
    try:
        info = await jetstream.stream_info(name)
    except NotFoundError:
        return await _create(jetstream, wanted), True
    _check_same(name, wanted, info)
    return _mark(info), False


async def stream_mark(client: Client, name: str) -> StreamMark | None:
    """The mark of a stream, None when it is not there."""
    try:
        return _mark(await manager(client).stream_info(name))
    except NotFoundError:
        return None


async def capture_event_subject(client: Client, subject: str) -> None:
    """Let `SAGA_EVENTS` take a subject of a definition's own when no stream takes it yet."""
    jetstream = manager(client)
    try:
        await jetstream.find_stream_name_by_subject(subject)
    except NotFoundError:
        config = (await jetstream.stream_info(EVENTS)).config
        await jetstream.update_stream(config.evolve(subjects=[*(config.subjects or ()), subject]))


async def capture_event_types(client: Client, pattern: str) -> None:
    """Let `SAGA_EVENTS` take all subjects of a pattern, unless another stream takes some of them."""
    jetstream = manager(client)
    try:
        keeper = await jetstream.find_stream_name_by_subject(pattern)
    except NotFoundError:
        keeper = EVENTS
    if keeper != EVENTS:
        return
    config = (await jetstream.stream_info(EVENTS)).config
    before = config.subjects or ()
    if any(covers(one, pattern) for one in before):
        return
    # A stream may not take one subject twice: what the pattern stands for goes.
    subjects = [*(one for one in before if not covers(pattern, one)), pattern]
    await jetstream.update_stream(config.evolve(subjects=subjects))


async def ensure_consumer(client: Client, consumer: ConsumerName, ack_wait: float) -> None:
    """Create a durable consumer, or bring an existing one to this form. What is in flight on it stays so.

    One that was made to last does.
    """
    jetstream = manager(client)
    wanted = _consumer_config(consumer, ack_wait)
    try:
        await jetstream.add_consumer(consumer.stream, wanted)
    except ServerError as error:
        if not (consumer.in_memory and error.err_code == _CONSUMER_REFUSED):
            raise
        await jetstream.add_consumer(consumer.stream, wanted.evolve(mem_storage=None))


async def ensure_lasting_consumer(client: Client, consumer: ConsumerName, ack_wait: float) -> None:
    """As `ensure_consumer`, for those who may not make it anew: it is still there when the server was restarted."""
    jetstream = manager(client)
    wanted = _consumer_config(consumer, ack_wait).evolve(mem_storage=None)
    try:
        await jetstream.add_consumer(consumer.stream, wanted)
    except ServerError as error:
        if not (consumer.in_memory and error.err_code == _CONSUMER_REFUSED):
            raise
        # The server does not move one to a file. What it had in flight comes again.
        await jetstream.delete_consumer(consumer.stream, consumer.name)
        await jetstream.add_consumer(consumer.stream, wanted)


def _consumer_config(consumer: ConsumerName, ack_wait: float) -> ConsumerConfig:
    return ConsumerConfig(
        # With its name said too, the request's subject tells stream, name and filter: permissions can be exact.
        name=consumer.name,
        durable_name=consumer.name,
        filter_subject=consumer.filter,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        max_deliver=-1,
        max_ack_pending=_MAX_ACK_PENDING,
        mem_storage=True if consumer.in_memory else None,
    )


async def check_jetstream(client: Client, address: str) -> None:
    """Raise `UsageError` when the server runs without JetStream, or this account may not use it."""
    try:
        await manager(client).account_info()
    except ServiceUnavailableError as error:
        # No code: nobody listens to the JetStream API at all. With a code it is a passing state of a cluster.
        if error.code is None:
            raise UsageError(
                f"nats: JetStream is not enabled at {address}; start nats-server with -js, or set jetstream in its "
                "configuration"
            ) from None
        raise


async def _create(jetstream: JetStreamManager, wanted: StreamConfig) -> StreamMark:
    name = _name(wanted)
    try:
        return _mark(await jetstream.add_stream(wanted))
    except APIError as error:
        if error.err_code == _STREAM_EXISTS:
            info = await jetstream.stream_info(name)
            _check_same(name, wanted, info)
            return _mark(info)
        if error.err_code == _SUBJECTS_OVERLAP:
            subject = (wanted.subjects or [""])[0]
            other = await jetstream.find_stream_name_by_subject(subject)
            raise UsageError(
                f"nats: stream {name} cannot be created: stream {other} already takes {subject}; delete {other} or "
                "take these subjects from it"
            ) from error
        raise


def misfits(wanted: StreamConfig, info: StreamInfo) -> list[str]:
    """In what a stream that is there cannot serve as the wanted one."""
    found = info.config
    differences = [
        f"{what} is {have}, expected {want}"
        for what, have, want in (
            ("retention", _value(found.retention), _value(wanted.retention)),
            ("discard", _value(found.discard), _value(wanted.discard)),
            ("no_ack", bool(found.no_ack), False),
            ("sealed", bool(found.sealed), False),
        )
        if have != want
    ]
    missing = set(wanted.subjects or ()) - set(found.subjects or ())
    if missing:
        differences.append(f"subjects are {sorted(found.subjects or ())}, expected {sorted(missing)} among them")
    return differences


def _check_same(name: str, wanted: StreamConfig, info: StreamInfo) -> None:
    differences = misfits(wanted, info)
    if differences:
        raise UsageError(
            f"nats: stream {name} exists but cannot serve: {'; '.join(differences)}; change it with `nats stream edit "
            f"{name}`, or delete it (open commands are sent again)"
        )


def _value(option: object) -> str:
    return str(getattr(option, "value", option))


def _mark(info: StreamInfo) -> StreamMark:
    return StreamMark(info.created, info.state.last_seq)


def _name(config: StreamConfig) -> str:
    if config.name is None:
        raise ValueError("a stream configuration of ours always has a name")
    return config.name
