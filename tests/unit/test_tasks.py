"""Tasks that miss a cancellation end all the same; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemorySubscription, MemoryTransport
from saga_engine.orchestrator.agenda import Agenda
from saga_engine.orchestrator.counters import Counters
from saga_engine.orchestrator.intake import Intake
from saga_engine.orchestrator.tokens import Tokens
from saga_engine.participant.runners import Runners
from saga_engine.ports.transport import Delivery, Subscription
from saga_engine.tasks import end_tasks
from saga_engine.testing.virtual_time import VirtualClock, VirtualLoop, run


async def missing_the_first_cancellation() -> None:
    """What `wait_for` of Python 3.11 does when what it waits for is there at the moment of the cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


def begun() -> list[asyncio.Task[None]]:
    return [asyncio.create_task(missing_the_first_cancellation()) for _ in range(2)]


def test_a_task_that_misses_its_cancellation_is_cancelled_again() -> None:
    async def ended() -> list[bool]:
        tasks = begun()
        await asyncio.sleep(1)
        await end_tasks(tasks)
        return [task.cancelled() for task in tasks]

    assert run(ended()) == [True, True]


def test_a_task_that_cleans_up_has_time_for_it_and_one_that_fails_at_it_stops_nobody() -> None:
    done: list[str] = []

    async def cleaning(seconds: float) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(seconds)
            done.append("cleaned")
            raise RuntimeError("a defect of the clean-up")

    async def ended() -> None:
        tasks = [asyncio.create_task(cleaning(0.9))]
        await asyncio.sleep(1)
        await end_tasks(tasks)
        await end_tasks(tasks)

    run(ended())
    assert done == ["cleaned"]


class DeafSubscription(MemorySubscription):
    """Misses the first cancellation while it waits."""

    missed = 0

    async def receive(self, limit: int) -> Sequence[Delivery]:
        try:
            return await super().receive(limit)
        except asyncio.CancelledError:
            if self.missed:
                raise
            self.missed += 1
            return await super().receive(limit)


class DeafTransport(MemoryTransport):
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        super().__init__(self.broker)

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        return DeafSubscription(self.broker, [f"saga.reply.{partition}" for partition in partitions])


def test_an_intake_whose_subscription_misses_the_cancellation_stops_receiving() -> None:
    async def paused() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        intake = Intake(DeafTransport(), Tokens({"1": b"secret"}), VirtualClock(loop), Agenda(), Counters(), backlog=10)
        receiving = await intake.listen(frozenset({1}))
        await asyncio.sleep(1)
        await intake.pause()
        assert receiving is not None
        assert receiving.done()
        await intake.close()

    run(paused())


def test_runners_whose_job_misses_the_cancellation_stop() -> None:
    async def stopped() -> int:
        runners = Runners(lambda: 2, lambda: None)
        runners.put(missing_the_first_cancellation)
        await asyncio.sleep(1)
        assert runners.waiting == 1
        await runners.stop()
        return runners.waiting

    assert run(stopped()) == 0
