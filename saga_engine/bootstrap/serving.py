"""What every long-running role needs of its databases: patience at the start, their time, and that they stay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import structlog

from saga_engine.clock import StoreClock
from saga_engine.errors import StoreUnavailableError, UnavailableError
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync
from saga_engine.sql.files import OpenedFile

T = TypeVar("T")

START_WAIT_S: Final = 30.0
"""How long a role waits for a server that is down at its start. A later outage never ends it."""

_CLOCK_SAMPLE_S: Final = 30.0

_FILES_LOOKED_AT_S: Final = 1.0

_log = structlog.get_logger(__name__)


async def patiently(call: Callable[[], T], run_sync: RunSync) -> T:
    """Ask a database that may be down at our start, or go down in the middle of it."""
    deadline = asyncio.get_running_loop().time() + START_WAIT_S
    while True:
        try:
            return await run_sync(call)
        except StoreUnavailableError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            _log.warning("waiting for the database", error=str(error))
            await asyncio.sleep(1)


async def keep_time(clock: StoreClock, run_sync: RunSync) -> None:
    """Ask for the store's time again and again, until cancelled."""
    while True:
        await clock.sleep(_CLOCK_SAMPLE_S)
        with suppress(UnavailableError):
            await run_sync(clock.sample)


async def keep_to(files: Sequence[OpenedFile], clock: Clock) -> None:
    """End it all when a database is no longer the one that was opened. Raises `StoreUnavailableError`."""
    while True:
        for file in files:
            file.check()
        await clock.sleep(_FILES_LOOKED_AT_S)
