"""Who listens: whether each event that starts a saga, or ends a wait, is kept by a stream and taken by an orchestrator.

A consumer tells how many pulls are open on it, never whose. Knows no saga.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from nats.aio.client import Client
from nats.js.api import ConsumerInfo
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import manager
from saga_engine.doctor.broker import asked
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.plural import several
from saga_engine.ports.events import Listening

CHECK: Final = "listeners"
_LOOKS: Final = 4
_PAUSE_S: Final = 0.3
"""A busy orchestrator has no pull open for moments, so that once is not enough."""

_DEAF: Final = "What is published there starts no saga and ends no wait."


async def examine(client: Client, settings: NatsSettings, wanted: Sequence[Listening]) -> Sequence[Finding]:
    """All for which the project's definitions listen."""
    return list(await asyncio.gather(*(_listener(client, settings, one) for one in wanted)))


async def _listener(client: Client, settings: NatsSettings, wanted: Listening) -> Finding:
    try:
        stream = await asked(settings.address, _stream(client, wanted.subject))
    except LookupError:
        return _absent(wanted, settings, "no stream keeps this subject")
    seen: list[ConsumerInfo] = []
    for look in range(_LOOKS):
        await asyncio.sleep(_PAUSE_S if look else 0)
        try:
            seen.append(await asked(settings.address, _consumer(client, stream, wanted.name)))
        except LookupError:
            return _absent(wanted, settings, f"there is no consumer {wanted.name} on {stream}")
        if seen[-1].num_waiting:
            break
    return judge(wanted, seen)


def judge(wanted: Listening, seen: Sequence[ConsumerInfo]) -> Finding:
    """What several looks at a consumer mean, a moment apart."""
    last = seen[-1]
    open_ = (last.num_pending or 0) + (last.num_ack_pending or 0)
    if last.num_waiting or _taken(seen[0]) != _taken(last):
        return fine(CHECK, wanted.subject, f"is listened for; {several(open_, 'event')} waiting or put back")
    what = f"no orchestrator takes its events at present; {several(open_, 'event')} waiting or put back"
    severity = Severity.ERROR if last.num_pending else Severity.WARNING
    why = "What is published there starts no saga and ends no wait until one does; nothing is lost meanwhile."
    return Finding(CHECK, severity, wanted.subject, what, why, "saga run --orchestrator")


def _taken(info: ConsumerInfo) -> int:
    return info.delivered.consumer_seq if info.delivered is not None else 0


def _absent(wanted: Listening, settings: NatsSettings, what: str) -> Finding:
    if settings.provision:
        why = f"{_DEAF} The next orchestrator makes it, and listens from then on."
        return Finding(CHECK, Severity.WARNING, wanted.subject, what, why, "saga run --orchestrator")
    return Finding(CHECK, Severity.ERROR, wanted.subject, what, _DEAF, "saga nats provision")


async def _stream(client: Client, subject: str) -> str:
    try:
        return await manager(client).find_stream_name_by_subject(subject)
    except NotFoundError as error:
        raise LookupError(subject) from error


async def _consumer(client: Client, stream: str, name: str) -> ConsumerInfo:
    try:
        info: ConsumerInfo = await manager(client).consumer_info(stream, name)
    except NotFoundError as error:
        raise LookupError(name) from error
    return info
