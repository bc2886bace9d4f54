"""Who looks after the embedded server: the first process owns it, the others use it, the next one takes over.

Owns the roles, restarting and the moment to stop. Knows processes only through `child`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import structlog
from filelock import FileLock, Timeout

from saga_engine.adapters.embedded.child import START_TIMEOUT, Child, start_child
from saga_engine.adapters.embedded.place import Identity, Place, greets, is_free
from saga_engine.errors import SagaEngineError, TransportUnavailableError
from saga_engine.private import FILE_MODE, make_private_folder

_log = structlog.get_logger(__name__)

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_TAKEOVER_POLL: Final = 0.25
_WRITING_POLL: Final = 1.0
_STEADY: Final = 5.0
"""A server that ran this long, in seconds, is restarted without a pause when it ends."""


class EmbeddedServer:
    """The embedded server of a project, as seen by one process. `directory`: the project's `.saga`."""

    def __init__(self, directory: Path) -> None:
        self._place = Place(directory)
        make_private_folder(self._place.root)
        # Not per thread: `close` may run elsewhere than `start`.
        self._lock = FileLock(self._place.owner_lock, thread_local=False, mode=FILE_MODE)
        self._child: Child | None = None
        self._identity: Identity | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens; the same for the life of the directory. Only after `start`."""
        if self._identity is None:
            raise RuntimeError("the embedded server was not started")
        return self._identity.url

    @property
    def owner(self) -> bool:
        """Whether this process looks after the server now."""
        return self._lock.is_locked

    @property
    def pid(self) -> int | None:
        """The server's process id, when this process started it."""
        return None if self._child is None else self._child.pid

    async def start(self) -> str:
        """Start the server or find the one that another process started; its url.

        Raises `UsageError` when nats-server is not installed, `TransportUnavailableError` with what it said when it
        does not start.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + START_TIMEOUT
        while True:
            if self._try_own():
                try:
                    await self._start_first()
                except BaseException:
                    self._lock.release()
                    raise
                break
            self._identity = self._place.identity()
            if self._identity is not None and await asyncio.to_thread(greets, self._identity):
                break
            if loop.time() > until:
                raise TransportUnavailableError(
                    f"another process owns the embedded nats-server of {self._place.root}, but it does not answer; "
                    "see its log there"
                )
            await asyncio.sleep(_FIRST_PAUSE)
        self._task = asyncio.create_task(self._look_after(), name="embedded-nats-server")
        return self.url

    async def close(self) -> None:
        """Stop the server when we own it, within a bound; others take over. May be repeated."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._child is not None:
            await self._child.stop()
            self._child = None
        self._lock.release()

    def _try_own(self) -> bool:
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    async def _start_first(self) -> None:
        """A port that another program took is given up here, where no client of ours can be waiting on it yet."""
        identity = self._place.identity()
        if identity is None or not (is_free(identity.port) or await asyncio.to_thread(greets, identity)):
            identity = self._place.choose_identity()
        self._child = await start_child(self._place, identity)
        self._identity = identity

    async def _look_after(self) -> None:
        while not self._try_own():  # noqa: ASYNC110  # the lock of another process has no event
            await asyncio.sleep(_TAKEOVER_POLL)
        if self._child is None:
            _log.info("embedded nats-server: its owner is gone, taking over", url=self.url)
            await self._start_again()
        loop = asyncio.get_running_loop()
        while self._child is not None:
            began = loop.time()
            why = await _until_useless(self._child)
            self._child = None
            _log.warning("embedded nats-server: starting it again", url=self.url, reason=why)
            if loop.time() - began < _STEADY:
                await asyncio.sleep(_FIRST_PAUSE)
            await self._start_again()

    async def _start_again(self) -> None:
        if self._identity is None:
            raise RuntimeError("the embedded server was not started")
        pause = _FIRST_PAUSE
        complaint = ""
        while self._child is None:
            try:
                self._child = await start_child(self._place, self._identity)
            except (SagaEngineError, OSError) as error:
                if str(error) != complaint:
                    _log.error("embedded nats-server: cannot be started", url=self.url, reason=str(error))
                complaint = str(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)


async def _until_useless(child: Child) -> str:
    """Wait until it has ended, or will write no more and was therefore ended; which of these."""
    while True:
        try:
            async with asyncio.timeout(_WRITING_POLL):
                return f"it ended with status {await child.ended()}"
        except TimeoutError:
            if await asyncio.to_thread(child.writing.hopeless):
                await child.stop()
                return "it had given up writing to its disk"


@contextlib.asynccontextmanager
async def embedded_server(directory: Path) -> AsyncIterator[str]:
    """The url of the embedded server of this `.saga` directory, which runs inside this block. See `EmbeddedServer`."""
    server = EmbeddedServer(directory)
    try:
        yield await server.start()
    finally:
        await server.close()
