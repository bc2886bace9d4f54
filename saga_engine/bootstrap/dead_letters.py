"""The project's dead letters, and the transport that they are put back with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from saga_engine.bootstrap.transports import transport
from saga_engine.ports.dead_letters import DeadLetters
from saga_engine.ports.transport import Transport
from saga_engine.settings.settled import Settings

_WAIT_S: Final = 5.0


@asynccontextmanager
async def dead_letters(settings: Settings) -> AsyncIterator[tuple[Transport, DeadLetters]]:
    """A connection to the project's broker; an embedded one is started for as long as it takes.

    Raises:
        TransportUnavailableError, UsageError: as `transport`.
    """
    async with transport(settings, _WAIT_S) as connected:
        yield connected, connected.dead_letters()
