"""A raw pull on one durable consumer: requests sent ahead, deliveries handed over as they come.

Owns how much is asked for, and noticing that requests, consumer or stream are gone. nats-py's fetch makes a round trip
per call and costs four times the CPU per message.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Final, TypeAlias

import nats.errors
import orjson
import structlog

from saga_engine.adapters.nats.connection import FIRST_PAUSE, LONGEST_PAUSE, Connection
from saga_engine.adapters.nats.parsing import Take
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.streams import ConsumerName
from saga_engine.errors import TransportUnavailableError, UsageError
from saga_engine.tasks import end_tasks

_log = structlog.get_logger(__name__)

_EXPIRES: Final = 30.0
_HEARTBEAT: Final = 5.0
_SILENCE: Final = 2.5 * _HEARTBEAT
"""A request is open on the server and nothing was heard for this long, in seconds: it is lost."""

_NANOSECONDS: Final = 1_000_000_000
_IDLE: Final = "100"
_REQUEST_OVER: Final = ("404", "408")

Provide: TypeAlias = Callable[[Session, ConsumerName], Coroutine[object, object, None]]
"""Makes sure that the consumer is there. Raises nats-py's errors and `UsageError`."""


class Pull:
    """Keeps asking one consumer, over all sessions, and again after the consumer was deleted."""

    def __init__(
        self,
        connection: Connection,
        consumer: ConsumerName,
        provide: Provide,
        on_delivery: Take,
        on_room: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._consumer = consumer
        self._provide = provide
        self._on_delivery = on_delivery
        self._on_room = on_room
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}"
        self._session: Session | None = None
        self._inbox = ""
        self._outstanding = 0
        self._time = asyncio.get_running_loop().time
        self._heard = 0.0
        self._broken = asyncio.Event()
        self._reason = ""
        self._task = asyncio.create_task(self._run(), name=f"pull-{consumer.stream}-{consumer.name}")

    async def ask(self, wanted: int) -> None:
        """Let about `wanted` deliveries be on their way. Asks again only when half of them have come."""
        if self._session is None or wanted <= 0 or self._outstanding > wanted // 2:
            return
        batch = wanted - self._outstanding
        self._outstanding = wanted
        request = {
            "batch": batch,
            "expires": int(_EXPIRES * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT * _NANOSECONDS),
        }
        self._heard = self._time()
        if not await self._session.publish(self._subject, orjson.dumps(request), reply=self._inbox):
            self._broken.set()

    async def close(self) -> None:
        """Stop asking; what the server still had for us goes to others."""
        await end_tasks([self._task])

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            try:
                session = await self._connection.session()
            except TransportUnavailableError:
                return
            began = loop.time()
            try:
                await self._attach(session)
            except (nats.errors.Error, UsageError) as error:
                if session.alive:
                    self._complain(str(error))
            # Whoever deletes the consumer again and again is not met with a busy loop.
            pause = FIRST_PAUSE if loop.time() - began > LONGEST_PAUSE else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _attach(self, session: Session) -> None:
        """Pull over this session until it ends or the consumer is gone."""
        await session.ask(self._provide(session, self._consumer))
        self._broken.clear()
        inbox = session.client.new_inbox()
        subscription = await session.client.listen(inbox, self._take)
        session.watchers.add(self._broken)
        try:
            self._session, self._inbox, self._outstanding = session, inbox, 0
            self._on_room()
            while session.alive and not self._broken.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT):
                        await self._broken.wait()
                self._check_silence()
        finally:
            self._session = None
            session.watchers.discard(self._broken)
            await session.unsubscribe(subscription)

    def _check_silence(self) -> None:
        silent = self._time() - self._heard
        if self._outstanding and silent > _SILENCE:
            self._complain(f"nothing was heard for {silent:.0f} s")
            self._broken.set()

    def _take(self, subject: str, reply: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._heard = self._time()
        if reply:
            if self._outstanding:
                self._outstanding -= 1
            self._on_delivery(subject, reply, body, headers)
        else:
            self._on_status(headers)

    def _on_status(self, headers: Mapping[str, str]) -> None:
        """A message without a reply subject is the server talking about our requests (ADR-13, ADR-37)."""
        status = headers.get("Status")
        if status == _IDLE:
            self._reason = ""
        elif status in _REQUEST_OVER:
            unserved = int(headers.get("Nats-Pending-Messages", self._outstanding))
            self._outstanding = max(0, self._outstanding - unserved)
            self._on_room()
        else:
            self._complain(f"{status} {headers.get('Description', 'no such consumer')}")
            self._broken.set()

    def _complain(self, reason: str) -> None:
        if reason != self._reason:
            _log.warning(
                "nats: a pull was interrupted",
                stream=self._consumer.stream,
                consumer=self._consumer.name,
                reason=reason,
            )
        self._reason = reason
