"""Sends what the worker has to say, many at once, and settles a delivery only when all it gave rise to is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from saga_engine.envelope import Message
from saga_engine.ports import Clock, Delivery, Subscription, Transport

_BATCH: Final = 256
_FIRST_DELAY_S: Final = 0.1
_LONGEST_DELAY_S: Final = 5.0

log = structlog.get_logger("saga_engine.participant")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A delivery and what it gave rise to. It is acknowledged after these messages are confirmed, in order."""

    delivery: Delivery
    messages: tuple[Message, ...]


class Replies:
    """A queue of conclusions and the loop that sends them. `settled` is told each delivery that was acked."""

    def __init__(
        self, transport: Transport, subscription: Subscription, clock: Clock, settled: Callable[[Delivery], None]
    ) -> None:
        self._transport = transport
        self._subscription = subscription
        self._clock = clock
        self._settled = settled
        self._waiting: list[Conclusion] = []
        self._filled = asyncio.Event()

    def put(self, conclusion: Conclusion) -> None:
        self._waiting.append(conclusion)
        self._filled.set()

    async def run(self) -> None:
        """Send for ever. What the broker does not confirm is sent again, since a handler's answer is precious."""
        failures = 0
        while True:
            await self._filled.wait()
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            unconfirmed = await self._send(batch)
            self._waiting = [*unconfirmed, *self._waiting]
            if not self._waiting:
                self._filled.clear()
            if not unconfirmed:
                failures = 0
                continue
            if failures == 0:
                log.warning("replies were not confirmed, they are sent again", count=len(unconfirmed))
            await self._clock.sleep(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(failures, 10)))
            failures += 1

    async def _send(self, batch: Sequence[Conclusion]) -> list[Conclusion]:
        """Publish, acknowledge what is confirmed, and return the rest."""
        confirmed = await self._transport.publish([message for conclusion in batch for message in conclusion.messages])
        verdicts = iter(confirmed)
        done: list[Delivery] = []
        rest: list[Conclusion] = []
        for conclusion in batch:
            if all(list(islice(verdicts, len(conclusion.messages)))):
                done.append(conclusion.delivery)
            else:
                rest.append(conclusion)
        if done:
            await self._subscription.ack(done)
            for delivery in done:
                self._settled(delivery)
        return rest
