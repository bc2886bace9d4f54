"""Keeps the keys of the reply tokens those of the store, where others add new ones and retire old ones while we run.

Owns when they are read anew. Knows neither replies nor how keys are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync

INTERVAL_S: Final = 5.0
"""For so long an orchestrator may sign with a key, or accept one, that was superseded or retired."""

_PAUSE_US: Final = 1_000_000
"""Between two readings at least: whoever sends us made-up key ids must not keep the store busy."""

_log = structlog.get_logger(__name__)


class Keyring:
    """Reads the keys from `load` every few seconds, and when a token names one that is not known."""

    def __init__(
        self, tokens: Tokens, load: Callable[[], Mapping[str, bytes]], run_sync: RunSync, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._load = load
        self._run_sync = run_sync
        self._clock = clock
        self._read_at: int | None = None

    async def keep(self) -> None:
        """Follow the store. While it is away the known keys stay. Runs until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL_S)
            await self._read()

    async def refresh(self) -> bool:
        """Read the keys anew, unless that was done within the last second; whether that was possible."""
        now = self._clock.now()
        if self._read_at is not None and 0 <= now - self._read_at < _PAUSE_US:
            return False
        self._read_at = now
        return await self._read()

    async def _read(self) -> bool:
        try:
            keys = await self._run_sync(self._load)
        except UnavailableError as error:
            _log.warning("the keys of the reply tokens could not be read", error=str(error))
            return False
        if self._tokens.exchange(keys):
            _log.info("the keys of the reply tokens have changed", keys=list(keys))
        return True
