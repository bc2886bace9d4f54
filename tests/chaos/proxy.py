"""A TCP proxy that can be told to misbehave: delay, trickle, cut, refuse, freeze a direction, swallow for good.

Owns sockets and the ways in which a network fails. Knows no protocol: it sees bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
_CHUNK: Final = 65_536
_CONNECT_TIMEOUT_S: Final = 2.0
# Closing with this sends a reset, not an orderly end.
_LINGER_ZERO: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a link treats what passes. Directions: `up` is from the client to the server, `down` the way back.

    `delay`: seconds that every chunk waits. `slices`: bytes in one write at most (None: as they came). `rate`: bytes
    per second. `frozen_up`, `frozen_down`: held until the link is healed, then passed on. `swallow_up`: taken from the
    client and dropped; such a connection never works again, while both ends believe in it. `refuse`: new connections
    are reset.
    """

    delay: float = 0.0
    slices: int | None = None
    rate: float | None = None
    frozen_up: bool = False
    frozen_down: bool = False
    swallow_up: bool = False
    refuse: bool = False


SOUND: Final = Behaviour()


class Link:
    """One listening port in front of one server, with a behaviour of its own. Used from one event loop."""

    def __init__(self, name: str, upstream: int) -> None:
        self.name = name
        self.connections = 0
        self.suffered = 0
        """How often somebody met its misbehaviour: chunks that were not passed on as they came, connections reset."""
        self._upstream = upstream
        self._behaviour = SOUND
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return self._port

    @property
    def swallowing(self) -> int:
        """How many open connections have lost bytes and so will never work again."""
        return sum(pair.broken for pair in self._open)

    async def open(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        self._port = self._server.sockets[0].getsockname()[1]

    def behave(self, behaviour: Behaviour) -> None:
        """Treat all connections, open ones too, like this from now on. `SOUND` heals."""
        self._behaviour = behaviour
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        self.suffered += len(self._open)
        self._reset_all()

    def _reset_all(self) -> None:
        for pair in tuple(self._open):
            pair.reset()

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        self._reset_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._behaviour.refuse:
            self.suffered += 1
            _reset(writer)
            return
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream)
        except (OSError, TimeoutError):
            _reset(writer)
            return
        pair = _Pair(writer, up_writer)
        self._open.add(pair)
        pumps = [
            asyncio.ensure_future(self._pump(pair, reader, up_writer, upwards=True)),
            asyncio.ensure_future(self._pump(pair, up_reader, writer, upwards=False)),
        ]
        try:
            # Either side's end ends both, as a half-closed connection serves none of our protocols.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            pair.reset()
            self._open.discard(pair)

    async def _pump(
        self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, upwards: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                self.suffered += self._meets(upwards)
                while self._frozen(upwards):
                    await self._changed.wait()
                if upwards and (pair.broken or self._behaviour.swallow_up):
                    pair.broken = True
                    continue
                await self._pass_on(data, writer)

    def _meets(self, upwards: bool) -> bool:
        """Whether what passes in this direction is mistreated."""
        behaviour = self._behaviour
        only_up, only_down = behaviour.frozen_up or behaviour.swallow_up, behaviour.frozen_down
        return behaviour != SOUND and not behaviour.refuse and not (only_down if upwards else only_up)

    def _frozen(self, upwards: bool) -> bool:
        return self._behaviour.frozen_up if upwards else self._behaviour.frozen_down

    async def _pass_on(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        behaviour = self._behaviour
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        size = behaviour.slices or len(data)
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            writer.write(piece)
            await writer.drain()
            if behaviour.rate is not None and self._behaviour is behaviour:
                await asyncio.sleep(len(piece) / behaviour.rate)
            elif behaviour.slices is not None:
                # Let the piece leave as a packet of its own.
                await asyncio.sleep(0)


class _Pair:
    """The two ends of one connection through the proxy."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.broken = False
        self._writers = (client, server)
        for writer in self._writers:
            _socket(writer).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)


def _socket(writer: asyncio.StreamWriter) -> socket.socket:
    found: socket.socket = writer.get_extra_info("socket")
    return found


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        with contextlib.suppress(OSError):
            _socket(writer).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        writer.transport.abort()
