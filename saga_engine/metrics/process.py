"""What one process tells: its pages, from the moment it begins, and what is looked at for them once it works.

Owns the states `starting` and working, and what makes a process ready.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Final

from saga_engine.metrics import readings
from saga_engine.metrics.exposition import CONTENT_TYPE, Exposition
from saga_engine.metrics.listener import Page, Pages
from saga_engine.metrics.looks import WITHIN_S, Look
from saga_engine.metrics.readings import Lagging, Looked, Reading, Told
from saga_engine.metrics.table import Metric

READY_FRESH_S: Final = 1.0
TEXT_FRESH_S: Final = 1.0
"""Writing the text takes milliseconds of the event loop: whoever asks all the time gets the same again."""
OPEN_FRESH_S: Final = 10.0
"""Counting the open sagas costs the store as much as there are of them."""

Check = Callable[[], Awaitable[bool]]
"""Whether something that is needed is there. Raises nothing."""

OpenSagas = Callable[[], Awaitable[Mapping[tuple[str, str], int] | None]]
"""The open sagas by name and status; None when the store does not answer. Raises nothing."""

LagOf = Callable[[], Awaitable[Lagging | None]]
"""How far a projection is behind; None when a database does not answer. Raises nothing."""

_STARTING: Final = "starting"


class Telling:
    """The pages of a process. `version` is the engine's."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._told = Told()
        self._checks: Mapping[str, Look[bool]] | None = None
        self._open: Look[Mapping[tuple[str, str], int]] | None = None
        self._lags: Mapping[str, Look[Lagging]] = {}
        self._looked = Looked({_STARTING: False}, None, 0)
        self._exposition = Exposition(self._read)
        self._text = Look(self._written, TEXT_FRESH_S, within_s=2 * WITHIN_S)

    def works(
        self,
        told: Told,
        checks: Mapping[str, Check],
        open_sagas: OpenSagas | None = None,
        lags: Mapping[str, LagOf] | None = None,
    ) -> None:
        """Everything is wired: tell of it from now on. `checks` by what they look at, `lags` by projection."""
        self._told = told
        self._checks = {name: Look(_passed(check), READY_FRESH_S) for name, check in checks.items()}
        self._open = None if open_sagas is None else Look(open_sagas, OPEN_FRESH_S)
        self._lags = {name: Look(lag, OPEN_FRESH_S) for name, lag in (lags or {}).items()}

    async def close(self) -> None:
        """Wait for no look any more."""
        await self._text.close()
        await asyncio.gather(*(look.close() for look in (self._checks or {}).values()))
        await asyncio.gather(*(look.close() for look in self._lags.values()))
        if self._open is not None:
            await self._open.close()

    @property
    def pages(self) -> Pages:
        return {"/metrics": self._metrics, "/health": self._health, "/ready": self._ready}

    async def _metrics(self) -> Page:
        text = await self._text.found()
        if text is None:
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"status": "not read in time"})
        return Page(HTTPStatus.OK, CONTENT_TYPE, text)

    async def _written(self) -> bytes:
        ready, found, lags = await asyncio.gather(self._check(), self._count(), self._compare())
        self._looked = Looked(ready, found, self._told.losses(), lags)
        return self._exposition.text()

    async def _health(self) -> Page:
        """The event loop turns, or nobody would answer."""
        return _json(HTTPStatus.OK, {"status": "alive"})

    async def _ready(self) -> Page:
        checks = await self._check()
        ready = all(checks.values())
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        told = {name: "ok" if passed else "not there" for name, passed in checks.items()}
        return _json(status, {"status": "ready" if ready else "not ready", "checks": told})

    async def _check(self) -> Mapping[str, bool]:
        if self._checks is None:
            return {_STARTING: False}
        passed = await asyncio.gather(*(look.found() for look in self._checks.values()))
        return {name: bool(one) for name, one in zip(self._checks, passed, strict=True)}

    async def _count(self) -> Mapping[tuple[str, str], int] | None:
        return None if self._open is None else await self._open.found()

    async def _compare(self) -> Mapping[str, Lagging]:
        found = await asyncio.gather(*(look.found() for look in self._lags.values()))
        return {name: lag for name, lag in zip(self._lags, found, strict=True) if lag is not None}

    def _read(self) -> Mapping[Metric, Iterable[Reading]]:
        told = self._told
        read = dict(readings.of_process(self._version, self._looked))
        if told.orchestrator is not None:
            read |= readings.of_orchestrator(told.orchestrator, self._looked)
        if told.workers:
            read |= readings.of_workers(told.workers)
        if told.listeners:
            read |= readings.of_listeners(told.listeners)
        if told.followers:
            read |= readings.of_followers(told.followers, self._looked.lags)
        if told.api is not None:
            read |= readings.of_api(told.api)
        if told.eventstore is not None:
            read |= readings.of_eventstore(told.eventstore)
        return read


def _passed(check: Check) -> Callable[[], Awaitable[bool | None]]:
    """What did not pass is looked at again by whoever asks next."""

    async def look() -> bool | None:
        return True if await check() else None

    return look


def _json(status: HTTPStatus, told: Mapping[str, object]) -> Page:
    return Page(status, "application/json", json.dumps(told).encode() + b"\n")
