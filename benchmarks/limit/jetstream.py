"""JetStream in the cheapest way that nats-py allows: one callback for all deliveries, one inbox for all publish acks.

Owns the protocol's subjects. Keeps no message for later: what the server refuses ends the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

COMMANDS: Final = "LIMIT_COMMANDS"
REPLIES: Final = "LIMIT_REPLIES"
REPLY_SUBJECT: Final = "limit.reply"
CONSUMER: Final = "limit"

_PULL: Final = 500
_EXPIRES_NS: Final = 30_000_000_000
_UNBOUNDED_MESSAGES, _UNBOUNDED_BYTES = 10**7, 10**9


async def make_streams(client: Client) -> None:
    """New, empty streams for commands and replies in files, each with one durable consumer."""
    jetstream = client.jetstream()
    for name, subject in ((COMMANDS, "limit.command.>"), (REPLIES, REPLY_SUBJECT)):
        with suppress(NotFoundError):
            await jetstream.delete_stream(name)
        await jetstream.add_stream(
            StreamConfig(name=name, subjects=[subject], storage=StorageType.FILE, retention=RetentionPolicy.LIMITS)
        )
        await jetstream.add_consumer(
            name, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=50_000)
        )


class Publisher:
    """Publishes with one inbox for all acknowledgements; `on_stored` is told what was given with a stored message."""

    def __init__(self, client: Client, on_stored: Callable[[str], Awaitable[None]] | None = None) -> None:
        self._client = client
        self._on_stored = on_stored
        self._inbox = client.new_inbox()
        self._number = 0
        self._open: dict[str, str] = {}

    async def start(self) -> None:
        await _subscribe(self._client, f"{self._inbox}.*", self._acknowledged)

    async def publish(self, subject: str, body: bytes, context: str = "") -> None:
        self._number += 1
        token = str(self._number)
        self._open[token] = context
        await self._client.publish(subject, body, reply=f"{self._inbox}.{token}")

    async def _acknowledged(self, message: Msg) -> None:
        context = self._open.pop(message.subject[len(self._inbox) + 1 :])
        if b'"error"' in message.data:
            raise RuntimeError(f"JetStream refused a message: {message.data.decode()}")
        if self._on_stored is not None:
            await self._on_stored(context)


class Pull:
    """Asks a stream's consumer for messages ahead of their use, and hands each to `on_message`."""

    def __init__(self, client: Client, stream: str, on_message: Callable[[Msg], Awaitable[None]]) -> None:
        self._client = client
        self._on_message = on_message
        self._inbox = client.new_inbox()
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{CONSUMER}"
        self._request = orjson.dumps({"batch": _PULL, "expires": _EXPIRES_NS})
        self._asked = 0

    async def start(self) -> None:
        await _subscribe(self._client, self._inbox, self._arrived)
        await self._ask()

    async def _ask(self) -> None:
        self._asked += _PULL
        await self._client.publish(self._subject, self._request, reply=self._inbox)

    async def _arrived(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            self._asked = 0
            await self._ask()
            return
        self._asked -= 1
        if self._asked < _PULL // 2:
            await self._ask()
        await self._on_message(message)


async def _subscribe(client: Client, subject: str, callback: Callable[[Msg], Awaitable[None]]) -> None:
    await client.subscribe(
        subject, cb=callback, pending_msgs_limit=_UNBOUNDED_MESSAGES, pending_bytes_limit=_UNBOUNDED_BYTES
    )
