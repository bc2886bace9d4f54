"""Commands, a clock and a transport for tests of the participant side, all under the test's control."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar
from uuid import UUID

from saga_engine.core.events import Direction
from saga_engine.definition.model import Json
from saga_engine.envelope import Address, Command, Message, Reply
from saga_engine.ports.transport import Delivery
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.replies import message_to_reply

T = TypeVar("T")

NOW = 1_795_000_000_000_000
DAY = 86_400_000_000
SECOND = 1_000_000
PATIENCE_S = 90.0

_numbers = count(1)


def saga_id(started_at: int = NOW) -> UUID:
    """A new UUIDv7 of a saga started at that time."""
    return UUID(int=started_at // 1000 << 80 | 0x7 << 76 | 0b10 << 62 | next(_numbers))


def forward(
    name: str = "debit",
    payload: Json = None,
    *,
    participant: str = "payment",
    saga: UUID | None = None,
    step: str = "pay",
    must_succeed: bool = False,
) -> Command:
    """The first send of the first attempt of a forward command, of a saga of its own unless one is given."""
    return Command(
        address=Address(saga or saga_id(), step, None, Direction.FORWARD),
        saga="place_order",
        participant=participant,
        command=name,
        partition=3,
        attempt=1,
        send=1,
        payload={} if payload is None else payload,
        issued_at=NOW,
        deadline=NOW + 30 * SECOND,
        must_succeed=must_succeed,
        undone_result=None,
        token="token",
        traceparent=None,
    )


def compensation(of: Command, name: str = "refund", result: Json = None) -> Command:
    """The compensation of a forward command."""
    address = replace(of.address, direction=Direction.COMPENSATE)
    return replace(of, address=address, command=name, must_succeed=True, undone_result=result)


def again(command: Command, attempt: int | None = None) -> Command:
    """The next send of a command, or the first one of another attempt."""
    if attempt is None:
        return replace(command, send=command.send + 1)
    return replace(command, attempt=attempt, send=1)


class StoppedClock:
    """A clock that stands still until the test moves it; sleeping only yields, and is counted."""

    def __init__(self) -> None:
        self.at = NOW
        self.sleeps: list[float] = []

    def now(self) -> int:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        await asyncio.sleep(0.001)


async def inline(call: Callable[[], T]) -> T:
    """A `RunSync` without threads."""
    return call()


@dataclass(frozen=True)
class PutBackCall:
    message: Message
    delay: float


class ScriptedSubscription:
    """Hands out what the test delivers and records how each delivery was settled. Nothing comes again by itself."""

    def __init__(self) -> None:
        self.waiting: list[Delivery] = []
        self.acked: list[Message] = []
        self.put_back: list[PutBackCall] = []
        self.progress: list[Message] = []
        self.largest_receive = 0
        self.receiving = False
        self.closed = False
        self._arrived = asyncio.Event()

    def deliver(self, command: Command | Message, deliveries: int = 1) -> None:
        message = command if isinstance(command, Message) else command_to_message(command)
        self.waiting.append(Delivery(message, deliveries, object()))
        self._arrived.set()

    async def receive(self, limit: int) -> Sequence[Delivery]:
        assert limit > 0
        self.receiving = True
        try:
            while not self.waiting:
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self.receiving = False
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.largest_receive = max(self.largest_receive, len(taken))
        return taken

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        self.acked += [delivery.message for delivery in deliveries]

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        self.put_back += [PutBackCall(delivery.message, delay) for delivery in deliveries]

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        self.progress += [delivery.message for delivery in deliveries]

    async def close(self) -> None:
        self.closed = True


class ScriptedTransport:
    """One participant's transport.

    `confirming` False: the broker confirms nothing. `refused`: subjects that it never does; `open`: cleared, it says
    nothing at all until it is set.
    """

    def __init__(self) -> None:
        self.subscription = ScriptedSubscription()
        self.confirming = True
        self.refused: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()
        self.published: list[Message] = []
        self.batches: list[int] = []

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        await asyncio.sleep(0)
        self.batches.append(len(messages))
        await self.open.wait()
        confirmed = [self.confirming and message.subject not in self.refused for message in messages]
        self.published += [message for message, ok in zip(messages, confirmed, strict=True) if ok]
        return confirmed

    async def commands(self, participant: str) -> ScriptedSubscription:
        return self.subscription

    async def replies(self, partitions: Sequence[int]) -> ScriptedSubscription:
        raise NotImplementedError("a worker reads no replies")

    async def ring(self, partitions: Sequence[int]) -> None:
        raise NotImplementedError("a worker rings nobody")

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        raise NotImplementedError("a worker is rung by nobody")

    def losses(self) -> int:
        return 0

    async def close(self) -> None:
        return

    @property
    def replied(self) -> list[Reply]:
        """The replies that were confirmed."""
        read = [message_to_reply(message) for message in self.published if message.subject.startswith("saga.reply.")]
        return [reply for reply in read if isinstance(reply, Reply)]

    @property
    def buried(self) -> list[Message]:
        """The dead letters that were confirmed."""
        return [message for message in self.published if message.subject.startswith("saga.dead.")]


async def until(reached: Callable[[], object]) -> None:
    """Wait for a condition, failing the test when it does not come true in time."""
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110 - the condition is set by code under test, which knows no event of ours
            await asyncio.sleep(0.002)


SETTINGS: Mapping[str, Json] = {"limit": 1_000}
