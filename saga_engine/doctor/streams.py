"""The four JetStream streams, as they are against what they must be like, and the letters on `SAGA_DEAD`.

Owns what deviation matters how much. What they must be like is the adapter's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from nats.aio.client import Client
from nats.js.api import RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import manager, misfits, stream_configs
from saga_engine.doctor.broker import asked
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.plural import several
from saga_engine.wire.subjects import DEAD

CHECK: Final = "streams"
_NEARLY: Final = 0.9
"""Of a limit. Beyond that a work queue will soon refuse what is new."""


async def examine(client: Client, settings: NatsSettings) -> Sequence[Finding]:
    """All four streams."""
    findings: list[Finding] = []
    for wanted in stream_configs(settings):
        info = await find(client, settings, wanted.name or "")
        findings += [missing(wanted, settings)] if info is None else judge(wanted, info, settings.least_payload)
    return findings


async def dead_letters(client: Client, settings: NatsSettings) -> Sequence[Finding]:
    """Whether letters wait for somebody."""
    info = await find(client, settings, DEAD)
    if info is None or not info.state.messages:
        return [fine("dead letters", DEAD, "none")]
    return [
        Finding(
            "dead letters",
            Severity.WARNING,
            DEAD,
            f"{several(info.state.messages, 'dead letter')} wait{'s' if info.state.messages == 1 else ''}",
            "Nobody could work on them; their sagas were told, and went on without.",
            "saga dead list",
        )
    ]


async def find(client: Client, settings: NatsSettings, name: str) -> StreamInfo | None:
    """A stream, with how many messages it holds by subject; None where there is none."""
    try:
        return await asked(settings.address, _info(client, name))
    except LookupError:
        return None


async def _info(client: Client, name: str) -> StreamInfo:
    try:
        return await manager(client).stream_info(name, subjects_filter=">")
    except NotFoundError as error:
        raise LookupError(name) from error


def missing(wanted: StreamConfig, settings: NatsSettings) -> Finding:
    """What it means that a stream is not there."""
    if settings.provision:
        what, why = "is not there", "The next orchestrator makes it, and sends every open command again."
        return Finding(CHECK, Severity.WARNING, wanted.name or "", what, why, "saga run --orchestrator")
    what, why = "is not there, and nats.provision is false", "Nobody makes it, and what is sent to it goes nowhere."
    subjects = ",".join(wanted.subjects or ())
    next_ = f"nats stream add {wanted.name} --subjects '{subjects}' --retention {_retention(wanted)}"
    return Finding(CHECK, Severity.ERROR, wanted.name or "", what, why, next_)


def judge(wanted: StreamConfig, info: StreamInfo, least_payload: int) -> Iterator[Finding]:
    """What is wrong with a stream that is there."""
    found = [*_wrong(wanted, info, least_payload), *_weak(wanted, info)]
    yield from found
    if not found:
        yield fine(CHECK, wanted.name or "", f"as it must be; {several(info.state.messages, 'message')}")


def _wrong(wanted: StreamConfig, info: StreamInfo, least_payload: int) -> Iterator[Finding]:
    name, config, state = wanted.name or "", info.config, info.state
    differences = misfits(wanted, info)
    if differences:
        why = "`saga run` refuses to work with it: messages would be lost, or reach the wrong ones."
        yield Finding(CHECK, Severity.ERROR, name, "; ".join(differences), why, f"nats stream edit {name}")
    if 0 < (config.max_msg_size or 0) < least_payload:
        what = f"max_msg_size is {config.max_msg_size:,}, expected none, or at least {least_payload:,}"
        why = "A large message is refused, and sent again for ever."
        yield Finding(CHECK, Severity.ERROR, name, what, why, f"nats stream edit {name} --max-msg-size -1")
    for limit, used, unit in ((config.max_msgs, state.messages, "messages"), (config.max_bytes, state.bytes, "bytes")):
        if limit is not None and limit > 0 and used >= limit * _NEARLY and _is_queue(wanted):
            what = f"is nearly full: {used:,} of {limit:,} {unit}"
            why = "A full queue refuses what is new; it is sent again until there is room."
            option = "--max-msgs" if unit == "messages" else "--max-bytes"
            next_ = f"nats stream edit {name} {option} -1, and find out who does not take them"
            yield Finding(CHECK, Severity.ERROR, name, what, why, next_)


def _weak(wanted: StreamConfig, info: StreamInfo) -> Iterator[Finding]:
    name, config = wanted.name or "", info.config
    if config.storage == StorageType.MEMORY:
        why = "It is lost when the server restarts; what was open is sent again, which costs time."
        yield Finding(CHECK, Severity.WARNING, name, "is kept in memory, expected in files", why, _remade(name))
    if (config.num_replicas or 1) < (wanted.num_replicas or 1):
        what = f"has {several(config.num_replicas or 1, 'replica')}, nats.replicas says {wanted.num_replicas}"
        why = "It rests while a server of the cluster is away."
        next_ = f"nats stream edit {name} --replicas {wanted.num_replicas}"
        yield Finding(CHECK, Severity.WARNING, name, what, why, next_)
    if _is_queue(wanted) and config.max_age:
        what = f"max_age is {config.max_age:,.0f} s, expected none"
        why = "What nobody takes for so long vanishes, and is sent again."
        yield Finding(CHECK, Severity.WARNING, name, what, why, f"nats stream edit {name} --max-age 0")


def _is_queue(wanted: StreamConfig) -> bool:
    return wanted.retention == RetentionPolicy.WORK_QUEUE


def _retention(wanted: StreamConfig) -> str:
    return "work" if _is_queue(wanted) else "limits"


def _remade(name: str) -> str:
    return f"nats stream rm {name}: the orchestrator makes it anew, and sends what is open again"
