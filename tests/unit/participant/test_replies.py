"""Conclusions in virtual time: what is not confirmed is sent again, and holds up nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from saga_engine.envelope import Message
from saga_engine.participant.replies import Conclusion, Replies
from saga_engine.ports.transport import Delivery
from saga_engine.tasks import end_tasks
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run
from tests.unit.participant.support import ScriptedTransport


class Desk:
    """Replies on a transport that a test can tell what to refuse, and when each was settled, by name."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.time = loop.time
        self.transport = ScriptedTransport()
        self.settled: dict[str, float] = {}
        self._replies = Replies(self.transport, self.transport.subscription, VirtualClock(loop), self._done)

    def put(self, *names: str) -> None:
        for name in names:
            message = Message(f"saga.reply.1.{name}", {}, b"", name)
            self._replies.put(Conclusion(Delivery(message, 1, name), (message,)))

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._replies.run())
        yield
        await end_tasks([task])

    def _done(self, deliveries: Sequence[Delivery]) -> None:
        self.settled.update((str(delivery.token), self.time()) for delivery in deliveries)


def test_one_that_is_never_confirmed_holds_up_no_other() -> None:
    async def sent() -> tuple[dict[str, float], int]:
        desk = Desk()
        desk.transport.refused = {"saga.reply.1.bad"}
        async with desk.sending():
            desk.put("bad", "first")
            await asyncio.sleep(60)
            desk.put("second")
            await asyncio.sleep(1)
        return desk.settled, len(desk.transport.batches)

    settled, batches = run(sent())
    assert settled == {"first": 0, "second": 60}
    assert 15 <= batches <= 25, "the bad one is sent again and again, at most every five seconds in the end"


def test_an_outage_is_told_once_and_all_is_settled_after_it() -> None:
    async def sent() -> dict[str, float]:
        desk = Desk()
        desk.transport.confirming = False
        async with desk.sending():
            for second in range(20):
                desk.put(str(second))
                await asyncio.sleep(1)
            desk.transport.confirming = True
            await asyncio.sleep(6)
        return desk.settled

    with capture_logs() as logs:
        settled = run(sent())
    assert len(settled) == 20
    assert max(settled.values()) <= 25, "nothing waits for more than the longest delay"
    assert [line["event"] for line in logs] == ["replies were not confirmed, they are sent again"]
