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

_WITH_HEADERS: Final = b"HMSG"
_MESSAGES: Final = (b"MSG ", b"HMSG ")


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
        takers, at = self._receiver.takers, 0
        while (end := data.find(b"\r\n", at)) >= 0:
            body = end + 2
            if not data.startswith(_MESSAGES, at):
                await super().parse(data[at:body])
                at = body
                continue
            subject, sid, reply, headers, size = _message_line(data[at:end])
            at_payload, after = body + headers, body + size + 2
            if len(data) < after:
                break
            at, block, payload = after, data[body:at_payload], data[at_payload : after - 2]
            take = takers.get(sid)
            if take is None:
                await self._receiver._process_msg(sid, subject, reply, payload, block)
                continue
            try:
                take(subject.decode(), reply.decode(), payload, read_headers(block) if block else NO_HEADERS)
            except Exception as error:  # noqa: BLE001 - one message that cannot be taken must not end the connection
                await self._receiver._error_cb(error)
        self.buf.extend(data[at:])


def _message_line(line: bytes) -> tuple[bytes, int, bytes, int, int]:
    """What the line before a message says. Raises ProtocolError.

    Subject, subscription, reply subject (or empty), bytes of headers and of all after it.
    """
    kind, *words = line.split()
    with_headers = kind == _WITH_HEADERS
    try:
        reply = words[2] if len(words) == 4 + with_headers else b""
        return words[0], int(words[1]), reply, int(words[-2]) if with_headers else 0, int(words[-1])
    except (IndexError, ValueError) as error:
        raise ProtocolError("nats: malformed MSG") from error
