"""One connection to NATS that outlives servers: a session per TCP connection, and for ever a next one.

Owns connecting, noticing the end of a session, back-off and logging of state changes. Knows no stream and no message.
A session is thrown away whole when it ends, because nats-py closes itself for good on some server errors and can hang
while it closes a half-open socket; nothing here waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

import nats.errors
import structlog

from saga_engine.adapters.nats.client import FastClient
from saga_engine.adapters.nats.session import STATE_CHECK, Session
from saga_engine.adapters.nats.settings import NatsSettings, client_options
from saga_engine.errors import LoginRefusedError, TransportUnavailableError, UsageError
from saga_engine.tasks import end_tasks

_log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0
"""Between two tries to connect, in seconds: doubled each time, with full jitter above the first."""

_PING_INTERVAL: Final = 3
_LOST_PINGS: Final = 2
"""A peer that is silent for (lost pings + 1) intervals is gone: half-open connections end within 9 s."""


_REFUSALS: Final = ("authorization violation", "authentication", "maximum connections")
_HANG_UPS: Final = ("connection reset", "unexpected eof", "broken pipe")
_TRIES_AFTER_HANG_UPS: Final = 5
"""A server that refuses a login says so and closes at once, and the reset may overtake what it said: ask again."""

OnSession: TypeAlias = Callable[[Session], Coroutine[object, object, None]]


class Connection:
    """Keeps a session, and makes a new one whenever it ends, until `close`."""

    def __init__(self, settings: NatsSettings) -> None:
        self._settings = settings
        self._options = client_options(settings)
        self._session: Session | None = None
        self._changed = asyncio.Condition()
        self._on_session: list[OnSession] = []
        self._supervisor: asyncio.Task[None] | None = None
        self._complaint = ""
        self._closed = False

    @property
    def address(self) -> str:
        """The server's url for messages to people."""
        return self._settings.address

    @property
    def current(self) -> Session | None:
        """The session, when there is one that works."""
        session = self._session
        return session if session is not None and session.alive else None

    def on_session(self, prepare: OnSession) -> None:
        """Call this for every session before anybody else gets it, in order of registration."""
        self._on_session.append(prepare)

    async def open(self, wait: float) -> None:
        """Connect, trying for at least `wait` seconds.

        Raises `TransportUnavailableError` when the server cannot be reached, at once when it refuses the login, and
        whatever a preparation raises for a server that will not do.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        pause = FIRST_PAUSE
        hang_ups = 0
        while (session := await self._try_session()) is None or not await self._enter(session):
            if _says(self._complaint, _REFUSALS):
                raise LoginRefusedError(
                    f"nats: {self.address} refused the login ({self._complaint}); check user, password, token or "
                    "credentials"
                )
            hang_ups += _says(self._complaint, _HANG_UPS)
            if loop.time() + pause > until and not 0 < hang_ups < _TRIES_AFTER_HANG_UPS:
                raise TransportUnavailableError(
                    f"nats: cannot reach {self.address} ({self._complaint or 'no answer'}); start the server or "
                    "correct the url"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        self._supervisor = asyncio.create_task(self._supervise(session), name="nats-connection")

    async def session(self) -> Session:
        """Wait for a working session. Raises `TransportUnavailableError` once the connection is closed."""
        while (session := self.current) is None:
            if self._closed:
                raise TransportUnavailableError(f"nats: the connection to {self.address} is closed")
            async with self._changed:
                await self._changed.wait_for(lambda: self.current is not None or self._closed)
        return session

    async def close(self) -> None:
        """End the connection after what was sent is flushed, within the close timeout. May be repeated."""
        if self._closed:
            return
        self._closed = True
        if self._supervisor is not None:
            await end_tasks([self._supervisor])
        session, self._session = self._session, None
        if session is not None:
            if session.client.is_connected:
                with contextlib.suppress(nats.errors.Error, TimeoutError):
                    async with asyncio.timeout(self._settings.close_timeout):
                        await session.client.flush()
            await session.discard(self._settings.close_timeout)
        async with self._changed:
            self._changed.notify_all()

    async def _supervise(self, session: Session) -> None:
        while True:
            await session.wait_for_end()
            _log.warning("nats: connection lost, reconnecting", address=self.address, reason=self._complaint)
            self._learn_servers(session.client)
            await session.discard(STATE_CHECK)
            session = await self._next_session()
            _log.info("nats: connected again", address=self.address)

    async def _next_session(self) -> Session:
        pause = FIRST_PAUSE
        while True:
            try:
                session = await self._try_session()
                if session is not None and await self._enter(session):
                    return session
            except UsageError as error:
                self._note(error, worth_a_line=True)
            await asyncio.sleep(FIRST_PAUSE + random.random() * (pause - FIRST_PAUSE))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _enter(self, session: Session) -> bool:
        """Prepare a session and make it the current one; False when it ended meanwhile."""
        try:
            for prepare in self._on_session:
                await session.ask(prepare(session))
        except nats.errors.Error as error:
            self._note(error)
            await session.discard(STATE_CHECK)
            return False
        except BaseException:
            await session.discard(STATE_CHECK)
            raise
        self._session = session
        async with self._changed:
            self._changed.notify_all()
        return True

    def _learn_servers(self, client: FastClient) -> None:
        """A cluster tells its members: the next session may go to any of them."""
        known = self._options["servers"]
        known.extend(url for server in client.discovered_servers if (url := server.geturl()) not in known)

    async def _try_session(self) -> Session | None:
        client = FastClient()
        session = Session(client)

        async def complain(error: Exception) -> None:
            self._note(error)
            if isinstance(error, nats.errors.FlushTimeoutError):
                session.end()

        async def end() -> None:
            session.end()

        try:
            await client.connect(
                **self._options,
                error_cb=complain,
                disconnected_cb=end,
                closed_cb=end,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=self._settings.connect_timeout,  # type: ignore[arg-type]  # seconds; fractions work
                ping_interval=_PING_INTERVAL,
                max_outstanding_pings=_LOST_PINGS,
                flush_timeout=self._settings.publish_timeout,
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            if not isinstance(error, nats.errors.NoServersError):
                self._note(error)
            await session.discard(STATE_CHECK)
            return None
        except BaseException:
            await session.discard(STATE_CHECK)
            raise
        return session

    def _note(self, error: Exception, worth_a_line: bool = False) -> None:
        """Remember what is wrong; log it only when somebody must act on it, and only when it is news."""
        complaint = str(error) or type(error).__name__
        if complaint == self._complaint:
            return
        self._complaint = complaint
        if worth_a_line or "permissions violation" in complaint.lower():
            _log.error("nats: the server is not usable as it is", address=self.address, reason=complaint)


def _says(complaint: str, words: tuple[str, ...]) -> bool:
    return any(word in complaint.lower() for word in words)
