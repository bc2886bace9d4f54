"""What a test of a transport needs: a harness around a broker, messages to send, and waiting with a deadline.

Knows no adapter and no test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol
from uuid import uuid4

from saga_engine.envelope import Message
from saga_engine.ports.transport import Delivery, Subscription, Transport
from saga_engine.wire.subjects import command_subject, reply_subject

DEADLINE: Final = 60.0
"""How long, in seconds, something that must happen may take on a slow machine."""


class TransportHarness(Protocol):
    """A broker of its own for each test, and what a test may do to it.

    `ack_wait` and `publish_timeout` (seconds) are those of the transports that `connect` makes; about half a second
    each keeps the suite fast. `max_payload`: the largest message in bytes, headers and body, that the broker takes.
    """

    @property
    def ack_wait(self) -> float: ...

    @property
    def publish_timeout(self) -> float: ...

    @property
    def max_payload(self) -> int: ...

    async def connect(self, *, patient: bool = False, ack_wait: float | None = None) -> Transport:
        """A new connection; closed by the harness at the latest.

        A `patient` one has an ack wait and a publish timeout of `DEADLINE`, for tests in which nothing is to be late.
        `ack_wait`, in seconds: another than that of the harness.
        """
        ...

    async def stop(self) -> None:
        """Make the broker unreachable, abruptly."""
        ...

    async def start(self) -> None:
        """Make it reachable again, with what it had stored."""
        ...

    async def wipe(self) -> None:
        """Take away what it had stored. Only while it is stopped."""
        ...


def command(number: int = 0, participant: str = "order", *, message_id: str | None = "") -> Message:
    """A command message; with an id of its own unless one (or None) is given."""
    name = str(uuid4()) if message_id == "" else message_id
    headers = {"saga-key": f"key-{number}"} if name is None else {"Nats-Msg-Id": name, "saga-key": f"key-{number}"}
    return Message(command_subject(participant, "create"), headers, b'{"number":%d}' % number, name)


def reply(partition: int, number: int = 0) -> Message:
    """A reply message with an id of its own."""
    name = str(uuid4())
    return Message(reply_subject(partition, "order"), {"Nats-Msg-Id": name}, b'{"number":%d}' % number, name)


async def collect(subscription: Subscription, count: int) -> list[Delivery]:
    """Receive until there are `count` deliveries, none of them settled."""
    found: list[Delivery] = []
    async with asyncio.timeout(DEADLINE):
        while len(found) < count:
            found += await subscription.receive(count - len(found))
    return found


async def nothing_comes(subscription: Subscription, seconds: float) -> bool:
    """Whether nothing is delivered for so long."""
    try:
        async with asyncio.timeout(seconds):
            await subscription.receive(1)
    except TimeoutError:
        return True
    return False


async def ends_with_ack(subscription: Subscription, deliveries: Sequence[Delivery], seconds: float) -> bool:
    """Whether, once these are acknowledged, nothing comes for so long, which is longer than the ack wait.

    What was on its way again before the broker had the acknowledgement may come, and is not acknowledged itself.
    """
    await subscription.ack(deliveries)
    until = asyncio.get_running_loop().time() + DEADLINE
    while not await nothing_comes(subscription, seconds):
        if asyncio.get_running_loop().time() > until:
            return False
    return True


async def until_confirmed(transport: Transport, messages: Sequence[Message]) -> None:
    """Publish what is not confirmed again and again, as a relay does."""
    async with asyncio.timeout(DEADLINE):
        while messages:
            confirmed = await transport.publish(messages)
            messages = [m for m, ok in zip(messages, confirmed, strict=True) if not ok]
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], kick: Callable[[], Awaitable[None]] | None = None) -> None:
    """Wait until a condition holds, doing something before each look."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            if kick is not None:
                await kick()
            await asyncio.sleep(0.01)


def bodies(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.message.body for delivery in deliveries]
