"""Reading deliveries off the wire without nats-py's queue, task and message object for each; all else is nats-py's.

Owns the bytes of MSG and HMSG lines. What a delivery means is for who takes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from saga_engine.adapters.nats.frames import read_headers

Take: TypeAlias = Callable[[str, str, bytes, Mapping[str, str]], None]
"""Takes one message: its subject, its reply subject (or empty), its body and its headers. Does not wait."""

NO_HEADERS: Final[Mapping[str, str]] = {}

_MESSAGE: Final = b"MSG "
_WITH_HEADERS: Final = b"HMSG"


class Receiver(Protocol):
    """What nats-py's client is to its parser, and to this one."""

    takers: dict[int, Take]

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None: ...

    @property
    def _error_cb(self) -> Callable[[Exception], Awaitable[None]]: ...


class FastParser(Parser):
    """nats-py's parser, which is handed every line that is no message."""

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(receiver)
        self._receiver = receiver

    async def parse(self, data: bytes = b"") -> None:
        """Hand over every message that is complete. Raises ProtocolError for a line that is none."""
        if self.buf:
            data = bytes(self.buf) + data
            self.buf.clear()
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            kind = data[at : at + 4]
            if kind in (_MESSAGE, _WITH_HEADERS):
                after = await self._message(data, at, end, kind == _WITH_HEADERS)
                if after < 0:
                    break
                at = after
            else:
                await super().parse(data[at : end + 2])
                at = end + 2
        self.buf.extend(data[at:])

    async def _message(self, data: bytes, at: int, end: int, with_headers: bool) -> int:
        """Deliver the message whose line stands from `at` to `end`; where the next one begins, or -1 if it is not all

        there yet.
        """
        words = data[at:end].split()
        try:
            sid, size = int(words[2]), int(words[-1])
            headers = int(words[-2]) if with_headers else 0
        except (IndexError, ValueError) as error:
            raise ProtocolError("nats: malformed MSG") from error
        body = end + 2
        after = body + size + 2
        if len(data) < after:
            return -1
        reply = words[3] if len(words) == 5 + with_headers else b""
        block, payload = data[body : body + headers], data[body + headers : after - 2]
        take = self._receiver.takers.get(sid)
        if take is None:
            await self._receiver._process_msg(sid, words[1], reply, payload, block)
            return after
        try:
            take(words[1].decode(), reply.decode(), payload, read_headers(block) if block else NO_HEADERS)
        except Exception as error:  # noqa: BLE001 - one message that cannot be taken must not end the connection
            await self._receiver._error_cb(error)
        return after
