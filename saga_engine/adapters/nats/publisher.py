"""Publishing to JetStream with one shared reply inbox: all in order, many in flight, a verdict for each message.

Owns tokens, the window and time limits. nats-py's own publish costs three to seven times the CPU per message, because
it makes a future, a timer and an inbox for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, cast

import nats.errors
import orjson
import structlog

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.frames import publish_frame
from saga_engine.adapters.nats.session import Session
from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.wire.sizes import sent_size

_log = structlog.get_logger(__name__)

WINDOW: Final = 1024
"""How many messages may be unacknowledged at once, over all callers."""

_AT_ONCE: Final = 128
"""Messages that are handed over together: the server works on them while the next are made."""

_NO_RESPONDERS: Final = "503"

OnUnheard: TypeAlias = Callable[[frozenset[str]], None]


@dataclass(eq=False, slots=True)
class _Batch:
    """One call of publish: its verdicts, how many are still out, and subjects that no stream takes."""

    subjects: Sequence[str]
    confirmed: list[bool]
    waiting: int = 0
    unheard: set[str] = field(default_factory=set)


class Publisher:
    """Publishes over the current session of a connection."""

    def __init__(self, connection: Connection, timeout: float, on_unheard: OnUnheard) -> None:
        self._connection = connection
        self._timeout = timeout
        self._on_unheard = on_unheard
        self._session: Session | None = None
        self._inbox = ""
        self._prefix = 0
        self._counter = 0
        self._open: dict[str, tuple[_Batch, int]] = {}
        self._news = asyncio.Event()
        self._refusal = ""
        self.highest: dict[str, int] = {}
        """The highest sequence that each stream acknowledged in this session or an earlier one."""
        connection.on_session(self._prepare)

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """See `Transport.publish`. A message counts as unknown when no ack comes within the time limit after it."""
        batch = _Batch([message.subject for message in messages], [False] * len(messages))
        session = await self._current_session()
        if session is None or not messages:
            return batch.confirmed
        first = self._counter + 1
        try:
            await self._send(session, batch, messages)
            await self._acks(session, batch)
        finally:
            if batch.waiting:
                self._forget(batch, first)
        if batch.unheard:
            self._on_unheard(frozenset(batch.unheard))
        return batch.confirmed

    async def _prepare(self, session: Session) -> None:
        inbox = session.client.new_inbox()
        await session.client.listen(f"{inbox}.*", self._on_ack)
        self._open.clear()
        self._session, self._inbox, self._prefix = session, inbox, len(inbox) + 1
        self._news.set()

    async def _current_session(self) -> Session | None:
        """The session to publish on, None when there is none within the time limit."""
        if (session := self._connection.current) is not None:
            return session
        try:
            async with asyncio.timeout(self._timeout):
                return await self._connection.session()
        except (TimeoutError, TransportUnavailableError):
            return None

    async def _send(self, session: Session, batch: _Batch, messages: Sequence[Message]) -> None:
        """Hand over the messages in order, as far as the window and the time limit let them."""
        sent = 0
        while sent < len(messages) and await self._room(session):
            going = messages[sent : sent + min(WINDOW - len(self._open), _AT_ONCE)]
            frames = [self._frame(session, message, batch, index) for index, message in enumerate(going, sent)]
            sent += len(going)
            try:
                await session.client.send(frames)
            except nats.errors.Error:
                # The session has ended: what is out stays unknown.
                return

    def _frame(self, session: Session, message: Message, batch: _Batch, index: int) -> bytes:
        """The bytes of one message, whose ack is waited for from now on; none of one that cannot be sent."""
        self._counter += 1
        token, most = str(self._counter), session.client.max_payload
        try:
            frame = publish_frame(message.subject, f"{self._inbox}.{token}", message.body, message.headers)
        except nats.errors.Error as error:
            self._refused(f"a message on {message.subject} cannot be sent: {type(error).__name__}: {error}")
            return b""
        if len(frame) > most and sent_size(message.headers, message.body) > most:
            self._refused(
                f"a message on {message.subject} with a body of {len(message.body)} bytes is, with its headers, larger "
                f"than the server's limit of {most}"
            )
            return b""
        self._open[token] = (batch, index)
        batch.waiting += 1
        return frame

    async def _room(self, session: Session) -> bool:
        """Wait until one more may be in flight; False when none may within the time limit, or the session ended."""
        if len(self._open) < WINDOW and self._session is session:
            return True
        return await self._until(lambda: len(self._open) < WINDOW, session)

    async def _acks(self, session: Session, batch: _Batch) -> None:
        """Wait until all of a batch are settled, the time limit is over, or the session ended."""
        await self._until(lambda: not batch.waiting, session)

    async def _until(self, reached: Callable[[], bool], session: Session) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                while self._session is session and not reached():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return self._session is session

    def _forget(self, batch: _Batch, first: int) -> None:
        """An ack that comes after its time limit has nobody to tell.

        Where somebody else listens on the subject, no ack is also all that is heard of a stream that does not take it.
        """
        for number in range(first, self._counter + 1):
            slot = self._open.get(token := str(number))
            if slot is not None and slot[0] is batch:
                batch.unheard.add(batch.subjects[slot[1]])
                del self._open[token]
        self._news.set()

    def _on_ack(self, subject: str, _reply: str, body: bytes, headers: Mapping[str, str]) -> None:
        slot = self._open.pop(subject[self._prefix :], None)
        if slot is None:
            return
        batch, index = slot
        batch.waiting -= 1
        if b'"error"' not in body and body:
            batch.confirmed[index] = True
            if not batch.waiting:
                self._remember(body)
        elif headers.get("Status") == _NO_RESPONDERS:
            batch.unheard.add(batch.subjects[index])
        else:
            self._refused(f"{batch.subjects[index]}: {body.decode(errors='replace')}")
        if not batch.waiting or len(self._open) == WINDOW - 1:
            self._news.set()

    def _remember(self, ack: bytes) -> None:
        """The last ack of a batch says how far the stream is. One of a duplicate names the first message's place."""
        self._refusal = ""
        content = cast("dict[str, object]", orjson.loads(ack))
        stream, sequence = content.get("stream"), content.get("seq")
        if isinstance(stream, str) and isinstance(sequence, int) and not content.get("duplicate"):
            self.highest[stream] = max(sequence, self.highest.get(stream, 0))

    def _refused(self, reason: str) -> None:
        """Say it once; a full stream refuses thousands in a row."""
        if not self._refusal:
            _log.error("nats: a publish was refused", address=self._connection.address, reason=reason)
        self._refusal = reason
