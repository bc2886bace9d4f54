"""One run of the nats-server process: started so that it dies with us, and so that no second one can use its store.

Owns process, signals and the store lock. Decides nothing about restarting.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from saga_engine.adapters.embedded.place import Identity, Place, greets, server_binary
from saga_engine.adapters.embedded.writing import Writing
from saga_engine.errors import TransportUnavailableError, UsageError
from saga_engine.private import OTHERS_MASK

if sys.platform != "win32":
    import fcntl

START_TIMEOUT: Final = 10.0
STOP_TIMEOUT: Final = 5.0
_POLL: Final = 0.01
_PR_SET_PDEATHSIG: Final = 1
_SHOWN_ERRORS: Final = 2_000


class Child:
    """A running nats-server of ours."""

    def __init__(self, process: asyncio.subprocess.Process, writing: Writing) -> None:
        self._process = process
        self.writing = writing

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it has ended; its exit status."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End it in order, by force after `STOP_TIMEOUT`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


async def start_child(place: Place, identity: Identity) -> Child:
    """Start the server and wait until it answers. Only for the holder of the owner lock.

    Raises `TransportUnavailableError` with what it said when it ends at once or does not answer in time.
    """
    if sys.platform == "win32":
        raise UsageError("the embedded nats-server runs on Linux and macOS; start nats-server and set nats.url instead")
    binary = server_binary()
    place.write_configuration(identity)
    lock = await _lock_store(place)
    writing = Writing(place)
    try:
        with place.emptied_errors() as errors:
            process = await asyncio.create_subprocess_exec(
                str(binary),
                "-c",
                str(place.configuration),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C in a terminal is for us; the server ends when we say so
                preexec_fn=_before_exec(),
            )
    finally:
        os.close(lock)
    child = Child(process, writing)
    try:
        await _ready(place, identity, child, process)
    except BaseException:
        await child.stop()
        raise
    return child


async def _ready(place: Place, identity: Identity, child: Child, process: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + START_TIMEOUT
    while not await asyncio.to_thread(greets, identity):
        if process.returncode is not None:
            raise TransportUnavailableError(
                f"the embedded nats-server ended at once with status {process.returncode}: {_last_words(place)}"
            )
        if loop.time() > until:
            raise TransportUnavailableError(
                f"the embedded nats-server (pid {child.pid}) did not answer at {identity.url} within "
                f"{START_TIMEOUT:.0f} s: {_last_words(place)}"
            )
        await asyncio.sleep(_POLL)


def _last_words(place: Place) -> str:
    """What it wrote to stderr, else the end of its log."""
    for path in (place.errors, place.log):
        with contextlib.suppress(FileNotFoundError):
            words = path.read_text(encoding="utf-8", errors="replace")[-_SHOWN_ERRORS:].strip()
            if words:
                return words
    return f"it said nothing; see {place.root}"


async def _lock_store(place: Place) -> int:
    """Take the lock that the server inherits and so holds while it lives, whoever started it.

    A server that is still alive although its owner is gone is ended first.
    """
    lock = os.open(place.store_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not _try_lock(lock):
            waited = loop.time() - began
            if waited > 2 * STOP_TIMEOUT:
                raise TransportUnavailableError(
                    f"an embedded nats-server still uses {place.store} and cannot be ended; its process id is in "
                    f"{place.process_file}"
                )
            _signal_orphan(place, signal.SIGTERM if waited < STOP_TIMEOUT else signal.SIGKILL)
            await asyncio.sleep(_POLL)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal_orphan(place: Place, number: signal.Signals) -> None:
    """The store lock is held, so the server of the pid file lives: the id cannot have gone to another process."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        os.kill(int(place.process_file.read_text(encoding="ascii")), number)


def _before_exec() -> Callable[[], None]:
    """The server's own files are for their owner alone. uvloop knows no `umask` of subprocesses."""
    die = die_with_parent()

    def before_exec() -> None:
        os.umask(OTHERS_MASK)
        if die is not None:
            die()

    return before_exec


def die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends the child when the thread that started it ends; elsewhere the next owner does it."""
    if sys.platform != "linux":
        return None
    control = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def before_exec() -> None:
        control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
