"""The dead letters on the stream `SAGA_DEAD`: listed newest first, read, removed.

JetStream reads forward only: where to begin is found by asking how many letters lie behind a sequence. Owns that
search. Knows nothing of what a letter holds.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from saga_engine.adapters.nats.connection import Connection
from saga_engine.adapters.nats.frames import read_headers
from saga_engine.adapters.nats.session import Session
from saga_engine.adapters.nats.streams import manager
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.dead_letters import DeadLetter
from saga_engine.wire.subjects import DEAD, dead_subject

_TIMEOUT: Final = 5.0
_LEFT_BEHIND: Final = 30.0
"""Seconds after which the server removes a consumer that a killed process has left."""

_FETCH: Final = 500
_AT_ONCE: Final = 32
_SIZE: Final = "Nats-Msg-Size"
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class NatsDeadLetters:
    """See `ports.DeadLetters`. `provision` False: no consumer is made, and letters are read one by one."""

    def __init__(self, connection: Connection, provision: bool = True) -> None:
        self._connection = connection
        self._provision = provision

    async def newest(
        self, limit: int, *, before: int | None = None, participant: str | None = None
    ) -> Sequence[DeadLetter]:
        """See `ports.DeadLetters`."""
        async with self._session() as session:
            return await session.ask(self._newest(session, limit, before, participant))

    async def get(self, sequence: int) -> DeadLetter | None:
        """See `ports.DeadLetters`."""
        async with self._session() as session:
            return await session.ask(_get(session, sequence))

    async def remove(self, sequence: int) -> None:
        """See `ports.DeadLetters`."""
        async with self._session() as session:
            try:
                await session.ask(manager(session.client).delete_msg(DEAD, sequence))
            except APIError:
                # The server has several errors for a letter that is not there.
                if await session.ask(_get(session, sequence)) is not None:
                    raise

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        session = self._connection.current
        if session is None:
            raise TransportUnavailableError(f"nats: {self._connection.address} is not reachable")
        try:
            yield session
        except nats.errors.Error as error:
            address, reason = self._connection.address, str(error) or type(error).__name__
            raise TransportUnavailableError(f"nats: the dead letters cannot be read at {address}: {reason}") from error

    async def _newest(
        self, session: Session, limit: int, before: int | None, participant: str | None
    ) -> list[DeadLetter]:
        state = (await manager(session.client).stream_info(DEAD)).state
        last = state.last_seq if before is None else min(state.last_seq, before - 1)
        if limit <= 0 or last < state.first_seq:
            return []
        if not self._provision:
            return await _read_singly(session, range(last, max(1, state.first_seq) - 1, -1), participant, limit)
        subject = "saga.dead.>" if participant is None else dead_subject(participant)
        reader = _Reader(session, subject)
        beyond = await reader.count(last + 1)
        start = await reader.start(max(1, state.first_seq), last, limit + beyond)
        letters = await reader.read(start, last)
        return letters[::-1][:limit]


class _Reader:
    """Reads letters of one subject forward, with consumers that live as long as one question."""

    def __init__(self, session: Session, subject: str) -> None:
        self._session = session
        self._subject = subject

    async def count(self, start: int) -> int:
        """How many letters have this sequence or a higher one."""
        async with self._consumer(start) as info:
            return info.num_pending or 0

    async def start(self, first: int, last: int, wanted: int) -> int:
        """A sequence from which on there are `wanted` letters, or all; and not many more, where that can be had."""
        low, step = max(first, last - wanted + 1), wanted
        high = last + 1
        while low > first and await self.count(low) < wanted:
            high, step = low, step * 2
            low = max(first, low - step)
        while high - low > 1 and await self.count(low) > 2 * wanted:
            middle = (low + high) // 2
            if await self.count(middle) >= wanted:
                low = middle
            else:
                high = middle
        return low

    async def read(self, start: int, last: int) -> list[DeadLetter]:
        """All letters from `start` to `last`, oldest first."""
        letters: list[DeadLetter] = []
        async with self._consumer(start) as info:
            left = info.num_pending or 0
            if not left:
                return letters
            jetstream = self._session.client.jetstream(timeout=_TIMEOUT)
            subscription = await jetstream.pull_subscribe_bind(info.name, DEAD)
            while left:
                for message in await subscription.fetch(min(left, _FETCH), timeout=_TIMEOUT):
                    left -= 1
                    letter = _listed(message)
                    if letter.sequence > last:
                        return letters
                    letters.append(letter)
        return letters

    @asynccontextmanager
    async def _consumer(self, start: int) -> AsyncIterator[ConsumerInfo]:
        jetstream = manager(self._session.client)
        info = await jetstream.add_consumer(
            DEAD,
            ConsumerConfig(
                filter_subject=self._subject,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=start,
                ack_policy=AckPolicy.NONE,
                headers_only=True,
                inactive_threshold=_LEFT_BEHIND,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        try:
            yield info
        finally:
            with suppress(nats.errors.Error, APIError):
                await jetstream.delete_consumer(DEAD, info.name)


async def _read_singly(session: Session, sequences: range, participant: str | None, limit: int) -> list[DeadLetter]:
    """Letters by their sequences, some at a time, for an account that may make no consumer."""
    letters: list[DeadLetter] = []
    for begin in range(0, len(sequences), _AT_ONCE):
        some = await asyncio.gather(*(_get(session, sequence) for sequence in sequences[begin : begin + _AT_ONCE]))
        found = [one for one in some if one is not None and participant in (None, one.participant)]
        letters += [replace(one, body=None) for one in found]
        if len(letters) >= limit:
            break
    return letters[:limit]


def _listed(message: Msg) -> DeadLetter:
    headers = dict(message.headers or {})
    size = headers.pop(_SIZE, "0")
    metadata = message.metadata
    return DeadLetter(
        metadata.sequence.stream, _microseconds(metadata.timestamp), _participant(message.subject), headers, int(size)
    )


async def _get(session: Session, sequence: int) -> DeadLetter | None:
    try:
        raw = await manager(session.client).get_msg(DEAD, seq=sequence)
    except NotFoundError:
        return None
    body = raw.data or b""
    headers = {} if raw.hdrs is None else read_headers(b64decode(raw.hdrs))
    at = 0 if raw.time is None else _microseconds(raw.time)
    return DeadLetter(sequence, at, _participant(raw.subject or ""), headers, len(body), body)


def _participant(subject: str) -> str:
    return subject.removeprefix("saga.dead.")


def _microseconds(time: datetime) -> int:
    passed = time - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
