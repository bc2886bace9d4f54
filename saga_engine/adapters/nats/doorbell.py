"""Wake-ups over core NATS: `saga.wake.<partition>`, best effort, nothing is kept anywhere.

Knows neither streams nor what a partition is for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import nats.errors

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.session import Session

_PREFIX: Final = "saga.wake."


class Doorbell:
    """Rings, and calls those who listen."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._listeners: list[Callable[[int], None]] = []
        self._subscribed: Session | None = None
        connection.on_session(self._prepare)

    async def ring(self, partitions: Sequence[int]) -> None:
        """See `ports.Transport`."""
        session = self._connection.current
        if session is not None and partitions:
            await session.publish_all([f"{_PREFIX}{partition}" for partition in partitions])

    async def listen(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """See `ports.Transport.on_ring`. When a server is there it knows of the listener on return."""
        self._listeners.append(ringing)
        session = self._connection.current
        if session is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._prepare(session)
                await session.ask(session.client.flush())

        async def stop() -> None:
            if ringing in self._listeners:
                self._listeners.remove(ringing)

        return stop

    async def _prepare(self, session: Session) -> None:
        if self._listeners and self._subscribed is not session:
            self._subscribed = session
            await session.client.listen(f"{_PREFIX}*", self._on_ring)

    def _on_ring(self, subject: str, _reply: str, _body: bytes, _headers: Mapping[str, str]) -> None:
        partition = subject.removeprefix(_PREFIX)
        if partition.isdecimal():
            for ringing in tuple(self._listeners):
                ringing(int(partition))
