"""The network between the processes and the broker: each process has a transport of its own, on which faults strike.

Owns what becomes of messages on their way. What is stored and when it is delivered is the broker's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.envelope import Message
from saga_engine.ports.transport import Delivery, Subscription
from tests.simulation.acks import EarlyAcks
from tests.simulation.faults import Point, Strike
from tests.simulation.processes import Process
from tests.simulation.recorder import Recorder


class Network:
    """The way to one broker. `longest_delay`: in seconds, how late a delayed message may be.

    `replies` and `commands`: all that were ever handed to it. `in_flight`: how many messages are on their way still.
    """

    def __init__(
        self, broker: MemoryBroker, recorder: Recorder, early_acks: EarlyAcks, random: Random, longest_delay: float
    ) -> None:
        self.broker = broker
        self.recorder = recorder
        self.early_acks = early_acks
        self._random = random
        self._longest_delay = longest_delay
        self.replies: list[Message] = []
        self.commands: list[Message] = []
        self.in_flight = 0
        self._command_sent = asyncio.Event()
        self._closing: dict[asyncio.Task[None], None] = {}

    def connect(self, process: Process) -> WireTransport:
        transport = WireTransport(self, MemoryTransport(self.broker), process)
        process.on_death.append(transport.cut)
        return transport

    def overhear(self, message: Message) -> None:
        """What somebody on the network learns."""
        if message.subject.startswith("saga.reply."):
            self.replies.append(message)
        elif message.subject.startswith("saga.command."):
            self.commands.append(message)
            self._command_sent.set()

    async def command_sent(self, within: float) -> None:
        """Wait until the next command goes out, at most so many seconds."""
        self._command_sent.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._command_sent.wait()

    def later(self, message: Message) -> None:
        """It arrives some time, mostly soon."""
        delay = self._longest_delay * self._random.random() ** 4
        self.in_flight += 1
        asyncio.get_running_loop().call_later(delay, self._arrive, message)

    def end(self, connection: MemoryTransport) -> None:
        """The server notices that a client is gone."""
        closing = asyncio.get_running_loop().create_task(connection.close())
        self._closing[closing] = None
        closing.add_done_callback(self._closing.pop)

    def _arrive(self, message: Message) -> None:
        self.in_flight -= 1
        if self.broker.up.is_set():
            self.broker.store(message)


class WireTransport:
    """`ports.Transport` of one process."""

    def __init__(self, network: Network, inner: MemoryTransport, process: Process) -> None:
        self._network = network
        self._inner = inner
        self._process = process

    def cut(self) -> None:
        """End it from the server's side, whatever the process does."""
        self._network.end(self._inner)

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """See `ports.Transport`."""
        process, recorder = self._process, self._network.recorder
        places = [recorder.published(message, process.name) for message in messages]
        verdicts: list[bool] = []
        for message in messages:
            self._network.overhear(message)
        for message in messages:
            verdicts.append(await self._publish(message))
            if verdicts[-1]:
                self._network.early_acks.confirmed(message)
        for place, verdict in zip(places, verdicts, strict=True):
            recorder.acknowledged(place, verdict)
        return verdicts

    async def commands(self, participant: str) -> Subscription:
        """See `ports.Transport`."""
        self._process.check()
        return WireSubscription(self._network, await self._inner.commands(participant), self._process)

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """See `ports.Transport`."""
        self._process.check()
        return WireSubscription(self._network, await self._inner.replies(partitions), self._process)

    async def ring(self, partitions: Sequence[int]) -> None:
        """See `ports.Transport`."""
        if await self._process.crossed(Point.RING) is not Strike.DROP:
            await self._inner.ring(partitions)

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """See `ports.Transport`."""
        self._process.check()
        return await self._inner.on_ring(lambda partition: None if self._process.paused else ringing(partition))

    def losses(self) -> int:
        """See `ports.Transport`."""
        return self._inner.losses()

    async def close(self) -> None:
        """See `ports.Transport`."""
        self._process.check()
        await self._inner.close()

    async def _publish(self, message: Message) -> bool:
        strike = await self._process.crossed(Point.PUBLISH)
        match strike:
            case Strike.DROP:
                return False
            case Strike.VANISH:
                return True
            case Strike.DELAY:
                self._network.later(message)
                return True
            case Strike.DUPLICATE:
                # Without an id that the broker could recognise it by: the duplicate window has passed.
                self._network.later(replace(message, message_id=None))
        stored = all(await self._inner.publish([message]))
        if strike is Strike.KILL_AFTER:
            raise self._process.die()
        self._process.check()
        return stored and strike is not Strike.ACK_LOST


class WireSubscription:
    """`ports.Subscription` of one process."""

    def __init__(self, network: Network, inner: Subscription, process: Process) -> None:
        self._network = network
        self._inner = inner
        self._process = process

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """See `ports.Subscription`."""
        while True:
            self._process.check()
            deliveries = await self._inner.receive(limit)
            strike = await self._process.crossed(Point.RECEIVE)
            if strike is Strike.DROP:
                continue
            for each in deliveries:
                self._network.recorder.delivered(each.message, each.deliveries, self._process.name)
            if strike is Strike.KILL_AFTER:
                raise self._process.die()
            if strike is Strike.DUPLICATE and len(deliveries) < limit:
                return [*deliveries, deliveries[0]]
            return deliveries

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        self._process.check()
        network = self._network
        network.early_acks.acknowledged([delivery.message for delivery in deliveries], network.recorder.now())
        await self._settle(Point.ACK, self._inner.ack(deliveries))

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """See `ports.Subscription`."""
        await self._settle(Point.PUT_BACK, self._inner.retry_later(deliveries, delay))

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """See `ports.Subscription`."""
        await self._settle(Point.PROGRESS, self._inner.in_progress(deliveries))

    async def close(self) -> None:
        """See `ports.Subscription`."""
        self._process.check()
        await self._inner.close()

    async def _settle(self, point: Point, settling: Coroutine[object, object, None]) -> None:
        try:
            strike = await self._process.crossed(point)
        except BaseException:
            # It never reaches the broker; a coroutine that nobody awaits would complain.
            settling.close()
            raise
        if strike is Strike.DROP:
            settling.close()
            return
        await settling
        if strike is Strike.KILL_AFTER:
            raise self._process.die()
