"""Who pulls: whether the commands of each participant have a live worker, and their consumers the right form.

A consumer tells how many pulls are open on it, never whose. Knows no saga.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerInfo
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import ConsumerName, command_consumer, manager
from saga_engine.doctor.broker import asked
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.streams import find
from saga_engine.plural import several
from saga_engine.wire.subjects import COMMANDS

_LOOKS: Final = 4
_PAUSE_S: Final = 0.3
"""A busy worker has no pull open for moments, so that once is not enough."""


async def examine(client: Client, settings: NatsSettings, participants: Collection[str]) -> Sequence[Finding]:
    """The workers of these participants, and of all others for whom commands wait."""
    stream = await find(client, settings, COMMANDS)
    if stream is None:
        return []
    waiting: Counter[str] = Counter()
    for subject, number in (stream.state.subjects or {}).items():
        waiting[subject.split(".")[2]] += number
    names = sorted({*participants, *waiting})
    judged = await asyncio.gather(*(_participant(client, settings, name, waiting[name]) for name in names))
    return [finding for findings in judged for finding in findings]


async def _participant(client: Client, settings: NatsSettings, name: str, waiting: int) -> Sequence[Finding]:
    consumer = command_consumer(name)
    seen: list[ConsumerInfo] = []
    for look in range(_LOOKS):
        await asyncio.sleep(_PAUSE_S if look else 0)
        info = await _consumer(client, settings, consumer)
        if info is None:
            return [without_worker(name, waiting, "and never had one here")]
        seen.append(info)
        if info.num_waiting:
            break
    return [*misshapen(consumer, seen[-1]), *judge(name, waiting, seen)]


async def _consumer(client: Client, settings: NatsSettings, consumer: ConsumerName) -> ConsumerInfo | None:
    try:
        return await asked(settings.address, _info(client, consumer))
    except LookupError:
        return None


async def _info(client: Client, consumer: ConsumerName) -> ConsumerInfo:
    try:
        info: ConsumerInfo = await manager(client).consumer_info(consumer.stream, consumer.name)
    except NotFoundError as error:
        raise LookupError(consumer.name) from error
    return info


def judge(name: str, waiting: int, seen: Sequence[ConsumerInfo]) -> Iterator[Finding]:
    """What several looks at the consumer of a participant mean, a moment apart."""
    last = seen[-1]
    if last.num_waiting:
        yield fine("workers", name, f"is at work; {several(waiting, 'command')} waiting or under way")
    elif _progress(seen[0]) == _progress(last):
        yield without_worker(name, waiting, "at present")
    else:
        yield fine("workers", name, f"is busy; {several(waiting, 'command')} waiting or under way")


def _progress(info: ConsumerInfo) -> tuple[int, int]:
    """What moves when somebody takes or finishes a command."""
    return (
        info.delivered.consumer_seq if info.delivered is not None else 0,
        info.ack_floor.consumer_seq if info.ack_floor is not None else 0,
    )


def without_worker(name: str, waiting: int, since: str) -> Finding:
    """A participant has no worker; that is an error once commands wait for one."""
    what = f"no worker takes its commands, {since}"
    what += f"; {several(waiting, 'command')} wait{'s' if waiting == 1 else ''}" if waiting else ""
    why = "Its commands wait, their sagas with them; silence uses up no attempt."
    return Finding(
        "workers", Severity.ERROR if waiting else Severity.WARNING, name, what, why, f"saga run --worker {name}"
    )


def misshapen(wanted: ConsumerName, info: ConsumerInfo) -> Iterator[Finding]:
    """In what a consumer of commands differs so that commands would be lost or held back."""
    config, wrong = info.config, []
    if config.ack_policy != AckPolicy.EXPLICIT:
        wrong.append("does not ask for an ack of each message")
    if (config.max_deliver or -1) > 0:
        wrong.append(f"delivers at most {config.max_deliver} times, expected without bound")
    if config.filter_subject != wanted.filter:
        wrong.append(f"filters {config.filter_subject}, expected {wanted.filter}")
    if info.paused:
        wrong.append("is paused")
    for what in wrong:
        yield Finding(
            "workers",
            Severity.ERROR,
            f"consumer {wanted.stream}/{wanted.name}",
            what,
            "Commands are lost to it, or held back, until their next send.",
            f"nats consumer rm {wanted.stream} {wanted.name}: the worker makes it anew",
        )
