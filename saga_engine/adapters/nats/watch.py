"""Notices that the broker lost its memory: streams deleted, re-created or rolled back. Makes what is missing.

Owns the marks by which streams are known again, and the count of losses.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import nats.errors
import structlog

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.publisher import Publisher
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import (
    StreamMark,
    capture_event_subject,
    check_jetstream,
    check_payload_limit,
    check_version,
    ensure_stream,
    stream_configs,
)
from saga_engine.errors import UsageError
from saga_engine.tasks import end_tasks
from saga_engine.wire.subjects import COMMANDS, REPLIES

_log = structlog.get_logger(__name__)

_COUNTED: Final = frozenset((COMMANDS, REPLIES))
"""Events and dead letters that are lost cannot be told by sending commands again."""

_OWN_SUBJECTS: Final = "saga."


class StreamWatch:
    """Checks the streams for every session before it is used, then every few seconds, and when one is missed."""

    def __init__(self, connection: Connection, settings: NatsSettings, publisher: Publisher) -> None:
        self._connection = connection
        self._interval = settings.check_interval
        self._configs = {config.name or "": config for config in stream_configs(settings)}
        self._provision = settings.provision
        self._least_payload = settings.least_payload
        self._publisher = publisher
        self._marks: dict[str, StreamMark] = {}
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._event_subjects: set[str] = set()
        self._complaint = ""
        self._task: asyncio.Task[None] | None = None
        self.losses = 0
        """How often commands or replies were found missing, re-created or rolled back.

        Streams that had to be created at the start count too: for a system with a history that is a loss.
        """
        connection.on_session(self._prepare)

    def start(self) -> None:
        """Begin to look regularly."""
        if self._provision:
            self._task = asyncio.create_task(self._run(), name="nats-stream-watch")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            await end_tasks([self._task])

    def missed(self, subjects: frozenset[str]) -> None:
        """No stream takes these subjects: look at once. Those of a definition's own are added to `SAGA_EVENTS`."""
        self._event_subjects.update(subject for subject in subjects if not subject.startswith(_OWN_SUBJECTS))
        self._wanted.set()

    async def check(self, session: Session) -> None:
        """Find all streams, make what is missing, count losses.

        Raises `UsageError` for a stream that cannot serve, and nats-py's errors when the server does not answer.
        """
        if not self._provision:
            return
        async with self._lock:
            lost = [name for name in self._configs if await self._is_lost(session, name)]
            if _COUNTED.intersection(lost):
                self.losses += 1

    async def _prepare(self, session: Session) -> None:
        check_version(session.client)
        check_payload_limit(session.client, self._least_payload)
        if self._provision:
            await check_jetstream(session.client, self._connection.address)
            await self.check(session)

    async def _is_lost(self, session: Session, name: str) -> bool:
        acknowledged = self._publisher.highest.get(name, 0)
        known = self._marks.get(name)
        mark, created = await ensure_stream(session.client, self._configs[name])
        self._marks[name] = mark
        if known is None:
            return created
        reached = max(known.last_sequence, acknowledged)
        if not created and mark.created == known.created and mark.last_sequence >= reached:
            return False
        self._publisher.highest.pop(name, None)
        _log.warning(
            "nats: a stream lost its messages",
            stream=name,
            found="missing" if created else "re-created" if mark.created != known.created else "rolled back",
        )
        return True

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._wanted.wait()
            self._wanted.clear()
            session = self._connection.current
            if session is None:
                continue
            try:
                await session.ask(self.check(session))
                await session.ask(self._capture(session))
                self._complaint = ""
            except (nats.errors.Error, UsageError) as error:
                if session.alive:
                    self._complain(str(error))

    async def _capture(self, session: Session) -> None:
        while self._event_subjects:
            await capture_event_subject(session.client, next(iter(self._event_subjects)))
            self._event_subjects.pop()

    def _complain(self, reason: str) -> None:
        if reason != self._complaint:
            _log.error("nats: the streams cannot be checked", address=self._connection.address, reason=reason)
        self._complaint = reason
