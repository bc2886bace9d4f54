"""A `Subscription` over one or more pulls as one flow.

Owns the buffer between the wire and `receive`, and settling by acknowledgement messages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import orjson

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.pull import Provide, Pull
from saga_engine.adapters.nats.streams import ConsumerName
from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.transport import Delivery
from saga_engine.tasks import end_tasks
from saga_engine.wire.headers import MESSAGE_ID

_ACK: Final = b"+ACK"
_NAK: Final = b"-NAK"
_IN_PROGRESS: Final = b"+WPI"
_NANOSECONDS: Final = 1_000_000_000

_SHORT_ACK_TOKENS: Final = 9
"""`$JS.ACK.<stream>.<consumer>.<deliveries>...`; the longer form has domain and account in front of the stream."""

_LEAST_SHARE: Final = 32
"""How many deliveries each of several pulls asks for at least, so that one busy partition is not starved."""


_GOOD_PART: Final = 4
"""Who takes a delivery has all of the ack wait but at most this part of it."""

_ACKS_WAIT_S: Final = 0.05
_MANY_ACKS: Final = 64
"""So many acks go out at once.

Fewer wait a little for others: nobody waits for them, and a work queue that becomes empty with each of them costs the
server a file each time.
"""


class NatsSubscription:
    """See `ports.Subscription`.

    A delivery that nobody took from the buffer within the ack wait is dropped here: the server gives it to somebody
    again. For one that was taken late the ack wait starts anew.
    """

    def __init__(
        self,
        connection: Connection,
        consumers: Sequence[ConsumerName],
        provide: Provide,
        ack_wait: float,
        on_close: Callable[[NatsSubscription], None],
    ) -> None:
        self._connection = connection
        self._ack_wait = ack_wait
        self._on_close = on_close
        self._buffer: deque[tuple[float, Delivery]] = deque()
        self._news = asyncio.Event()
        self._closed = False
        self._time = asyncio.get_running_loop().time
        self._done: list[str] = []
        self._acking: asyncio.Task[None] | None = None
        self._pulls = [Pull(connection, c, provide, self._arrived, self._news.set) for c in consumers]

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `ports.Subscription`. Between two calls no more than `limit` deliveries come in."""
        while True:
            if self._closed:
                raise TransportUnavailableError("nats: the subscription is closed")
            self._news.clear()
            taken, waited = self._take(limit)
            await self._ask(limit - len(taken) - len(self._buffer))
            if taken:
                await self.in_progress(waited)
                return taken
            await self._news.wait()

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`. They may go out a little later, and do before it is closed."""
        self._done += [str(delivery.token) for delivery in deliveries]
        if len(self._done) >= _MANY_ACKS:
            await self._send_acks()
        elif self._done and self._acking is None:
            self._acking = asyncio.create_task(self._ack_soon())

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """See `ports.Subscription`."""
        await self._settle(deliveries, _NAK + b" " + orjson.dumps({"delay": int(delay * _NANOSECONDS)}))

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        await self._settle(deliveries, _IN_PROGRESS)

    async def close(self) -> None:
        """See `ports.Subscription`. What was not handed out goes to others at once."""
        if self._closed:
            return
        self._closed = True
        self._news.set()
        for pull in self._pulls:
            await pull.close()
        if self._acking is not None:
            await end_tasks([self._acking])
        await self._send_acks()
        await self._settle([delivery for _, delivery in self._buffer], _NAK)
        self._buffer.clear()
        self._on_close(self)

    def _arrived(self, subject: str, reply: str, body: bytes, headers: Mapping[str, str]) -> None:
        message = Message(subject, headers, body, headers.get(MESSAGE_ID))
        delivery = Delivery(message, _deliveries(reply), reply)
        self._buffer.append((self._time(), delivery))
        self._news.set()

    def _take(self, limit: int) -> tuple[list[Delivery], list[Delivery]]:
        """What is handed out, and which of it has waited here for a good part of its ack wait."""
        now, buffer = self._time(), self._buffer
        while buffer and buffer[0][0] < now - self._ack_wait:
            buffer.popleft()
        taken = [buffer.popleft() for _ in range(min(limit, len(buffer)))]
        waited = [delivery for arrived, delivery in taken if arrived < now - self._ack_wait / _GOOD_PART]
        return [delivery for _, delivery in taken], waited

    async def _ask(self, wanted: int) -> None:
        if wanted <= 0 or not self._pulls:
            return
        share = max(wanted // len(self._pulls), min(wanted, _LEAST_SHARE))
        for pull in self._pulls:
            await pull.ask(share)

    async def _ack_soon(self) -> None:
        await asyncio.sleep(min(_ACKS_WAIT_S, self._ack_wait / 10))
        self._acking = None
        await self._send_acks()

    async def _send_acks(self) -> None:
        done, self._done = self._done, []
        await self._tell(done, _ACK)

    async def _settle(self, deliveries: Sequence[Delivery], body: bytes) -> None:
        await self._tell([str(delivery.token) for delivery in deliveries], body)

    async def _tell(self, tokens: Sequence[str], body: bytes) -> None:
        session = self._connection.current
        if session is not None and tokens:
            # Should the session have ended, the ack wait brings these again.
            await session.publish_all(tokens, body)


def _deliveries(reply: str) -> int:
    tokens = reply.split(".")
    return int(tokens[4] if len(tokens) == _SHORT_ACK_TOKENS else tokens[6])
