"""A connection to the HTTP API, which may not keep us waiting: a head, or taking an answer, has its time.

Owns those times. What is said over a connection is uvicorn's; how long a body may take is `bodies`'.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S: Final = 10.0
"""To send the whole head of a request, from when the connection is there or the request before is answered."""
TAKE_S: Final = 30.0
"""To take of an answer what the sockets' buffers do not hold."""


class Connection(H11Protocol):
    """uvicorn bounds the bytes of a head, and not how long it takes; nor how long an answer is not taken."""

    head_s = HEAD_S
    take_s = TAKE_S
    _heading: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    # As uvicorn has it: of a server's connections, all are transports that read and write.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._expect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self.loop.call_later(self.take_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._heading, self._taking):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def _expect(self) -> None:
        """A head, unless a request is being answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self._heading is not None:
                self._heading.cancel()
                self._heading = None
        elif self._heading is None:
            self._heading = self.loop.call_later(self.head_s, self.transport.abort)
