"""nats-py's client with a short way in and out for the messages of the hot path.

In: a parser that hands messages over as they are read. Out: frames that are handed over together. It rests on private
names of nats-py 2.16, which a test holds: `_ps` and `_transport._io_writer` (were they renamed, messages would come and
go nats-py's own way, slower), `Subscription._id`, `_pending`, `_send_command`, `_flush_queue`, `_flush_pending`,
`_process_connect_init` and `_connect_command`.

uvloop says by a RuntimeError that a socket was closed a moment ago. Here it becomes nats-py's own error, wherever
nats-py writes on behalf of a caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionClosedError

from saga_engine.adapters.nats.parsing import NO_HEADERS, FastParser, Take
from saga_engine.errors import UsageError

_UNBOUNDED_BUFFER: Final = 0
"""nats-py drops messages beyond these limits; what is in flight is bounded by our own pull windows instead."""

_MOST_BUFFERED: Final = 65_536
"""Bytes in front of a socket above which to wait for the server: asyncio's own high-water mark."""

_FLUSH_TIMEOUT_S: Final = 10
"""nats-py's own."""


class FastClient(Client):
    """A nats-py client for many messages with many headers. `takers`: who takes the messages of a subscription."""

    def __init__(self) -> None:
        super().__init__()
        self.takers: dict[int, Take] = {}
        self._ps = FastParser(self)

    @property
    def encrypted(self) -> bool:
        """Whether the connection was upgraded to TLS: nats-py does so when the server demands it, and only then."""
        return bool(self.options.get("tls_handshake_first")) or bool(self._server_info.get("tls_required"))

    def _connect_command(self) -> bytes:
        """What logs in. Raises `UsageError` before it is sent in plain text, also to one in between who hides TLS."""
        if "tls" in self.options and not self.encrypted:
            server = self._current_server.uri.netloc if self._current_server is not None else "the server"
            raise UsageError(f"nats: TLS is asked for, but {server} does not offer it; configure tls in nats-server")
        return super()._connect_command()

    async def listen(self, subject: str, take: Take) -> Subscription:
        """Subscribe; `take` is called as messages are read. Raises nats-py's errors when the connection has ended."""

        async def taken_late(message: Msg) -> None:
            take(message.subject, message.reply, message.data, message.headers or NO_HEADERS)

        subscription = await self.subscribe(
            subject, cb=taken_late, pending_msgs_limit=_UNBOUNDED_BUFFER, pending_bytes_limit=_UNBOUNDED_BUFFER
        )
        self.takers[subscription._id] = take
        return subscription

    async def send(self, frames: Sequence[bytes]) -> None:
        """Hand over frames (`frames.publish_frame`), in order. Raises nats-py's errors when it is not connected."""
        if not self.is_connected:
            raise ConnectionClosedError
        data = b"".join(frames)
        writer = self._free_writer()
        if writer is None:
            await self._send_command(data)
            if self._flush_queue is not None and self._flush_queue.empty():
                await self._flush_pending()
            return
        try:
            writer.write(data)
        except RuntimeError as error:
            raise ConnectionClosedError from error

    def _free_writer(self) -> asyncio.StreamWriter | None:
        """The socket, when nothing waits to be written before: else nats-py's task writes, and waits for a slow server.

        To wake that task takes a future and a turn of the event loop, a tenth of what a message alone costs.
        """
        writer: object = getattr(self._transport, "_io_writer", None)
        if not isinstance(writer, asyncio.StreamWriter) or self._pending:
            return None
        return writer if writer.transport.get_write_buffer_size() < _MOST_BUFFERED else None

    async def flush(self, timeout: int = _FLUSH_TIMEOUT_S) -> None:
        """Wait until the server has what was handed over. Raises nats-py's errors when the connection has ended."""
        try:
            await super().flush(timeout)
        except RuntimeError as error:
            raise ConnectionClosedError from error

    async def _flush_pending(self, force_flush: bool = False) -> object:
        try:
            return await super()._flush_pending(force_flush)
        except RuntimeError as error:
            raise ConnectionClosedError from error

    async def _process_connect_init(self) -> None:
        try:
            await super()._process_connect_init()
        except RuntimeError as error:
            raise ConnectionClosedError from error

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self.takers.pop(sid, None)
