"""Sends what the worker has to say, many at once, and settles a delivery only when all it gave rise to is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import structlog

from saga_engine.envelope import Message
from saga_engine.immutable import dataclass, replace
from saga_engine.ports.clock import Clock
from saga_engine.ports.transport import Delivery, Subscription, Transport
from saga_engine.tasks import end_tasks

_BATCH: Final = 256
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0

log = structlog.get_logger("saga_engine.participant")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A delivery and what it gave rise to. It is acknowledged after these messages are confirmed, in order.

    `tries`: how often they were sent and not all confirmed.
    """

    delivery: Delivery
    messages: tuple[Message, ...]
    tries: int = 0


class Replies:
    """A queue of conclusions and the loop that sends them. `settled` is told which deliveries were answered.

    One that is not confirmed waits by itself, longer each time, and holds up no other.
    """

    def __init__(
        self,
        transport: Transport,
        subscription: Subscription,
        clock: Clock,
        settled: Callable[[Sequence[Delivery]], None],
    ) -> None:
        self._transport = transport
        self._subscription = subscription
        self._clock = clock
        self._settled = settled
        self._waiting: list[Conclusion] = []
        self._put_off: set[asyncio.Task[None]] = set()
        self._troubled = False
        self._filled = asyncio.Event()

    def put(self, conclusion: Conclusion) -> None:
        self._waiting.append(conclusion)
        self._filled.set()

    async def run(self) -> None:
        """Send for ever. What the broker does not confirm is sent again, since a handler's answer is precious."""
        try:
            while True:
                await self._filled.wait()
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                if not self._waiting:
                    self._filled.clear()
                self._send_later(await self._send(batch))
        finally:
            await end_tasks(self._put_off)

    def _send_later(self, unconfirmed: Sequence[Conclusion]) -> None:
        if not self._troubled and any(not conclusion.tries for conclusion in unconfirmed):
            log.warning("replies were not confirmed, they are sent again", count=len(unconfirmed))
        self._troubled = bool(unconfirmed)
        for conclusion in unconfirmed:
            task = asyncio.create_task(self._put_again(conclusion))
            self._put_off.add(task)
            task.add_done_callback(self._put_off.discard)

    async def _put_again(self, conclusion: Conclusion) -> None:
        await self._clock.sleep(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(conclusion.tries, 10)))
        self.put(replace(conclusion, tries=conclusion.tries + 1))

    async def _send(self, batch: Sequence[Conclusion]) -> list[Conclusion]:
        """Publish, acknowledge what is confirmed, and return the rest."""
        confirmed = await self._transport.publish([message for conclusion in batch for message in conclusion.messages])
        if all(confirmed):
            await self._acknowledge([conclusion.delivery for conclusion in batch])
            return []
        verdicts = iter(confirmed)
        done: list[Delivery] = []
        rest: list[Conclusion] = []
        for conclusion in batch:
            if all(list(islice(verdicts, len(conclusion.messages)))):
                done.append(conclusion.delivery)
            else:
                rest.append(conclusion)
        if done:
            await self._acknowledge(done)
        return rest

    async def _acknowledge(self, done: Sequence[Delivery]) -> None:
        try:
            await self._subscription.ack(done)
        except Exception as error:
            log.error("commands could not be acknowledged: they come again", count=len(done), exc_info=error)
        self._settled(done)
