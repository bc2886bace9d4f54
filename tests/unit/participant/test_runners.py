"""The tasks that run jobs, and the batches that gather them: order, limits, and what one that breaks does to others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from structlog.testing import capture_logs

from saga_engine.participant.batches import MOST, Batches
from saga_engine.participant.runners import Runners
from tests.unit.participant.support import StoppedClock, until


def nobody() -> None:
    """Whom nothing needs to be told."""


class Jobs:
    """Jobs that note what they do; those made with `waiting` wait until the test lets them go on."""

    def __init__(self, limit: int) -> None:
        self.began: list[str] = []
        self.tasks: set[object] = set()
        self.go_on = asyncio.Event()
        self.runners = Runners(lambda: limit, nobody)

    def put(self, name: str, waiting: bool = False) -> None:
        async def job() -> None:
            self.began.append(name)
            self.tasks.add(asyncio.current_task())
            if waiting:
                await self.go_on.wait()

        self.runners.put(job)


async def test_jobs_that_never_wait_are_run_in_order_by_one_task() -> None:
    jobs = Jobs(limit=3)
    for number in range(50):
        jobs.put(str(number))
    await until(lambda: len(jobs.began) == 50)
    assert jobs.began == [str(number) for number in range(50)]
    assert len(jobs.tasks) == 1


async def test_while_some_wait_others_go_on_up_to_the_limit() -> None:
    jobs = Jobs(limit=3)
    for name in ("a", "b"):
        jobs.put(name, waiting=True)
    for number in range(5):
        jobs.put(str(number))
    jobs.put("c", waiting=True)
    jobs.put("last")
    await until(lambda: jobs.runners.waiting == 3)
    assert jobs.began == ["a", "b", "0", "1", "2", "3", "4", "c"]
    assert jobs.runners.queued == 1
    jobs.go_on.set()
    await until(lambda: jobs.began[-1] == "last")
    await until(lambda: jobs.runners.waiting == 0)


async def test_a_job_that_breaks_is_logged_and_the_others_go_on() -> None:
    jobs = Jobs(limit=1)

    async def broken() -> None:
        raise LookupError("a defect")

    async def broken_later() -> None:
        await asyncio.sleep(0)
        raise LookupError("a defect")

    with capture_logs() as logs:
        jobs.runners.put(broken)
        jobs.runners.put(broken_later)
        jobs.put("after")
        await until(lambda: jobs.began == ["after"])
    assert [line["event"] for line in logs] == ["a command could not be handled"] * 2


async def test_a_job_that_cancels_its_own_task_does_not_hold_up_the_others() -> None:
    jobs = Jobs(limit=1)

    async def cancelling() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    jobs.runners.put(cancelling)
    jobs.put("after")
    await until(lambda: jobs.began == ["after"])
    assert jobs.runners.waiting == 0


async def test_stopping_cancels_what_waits_and_begins_no_more() -> None:
    jobs = Jobs(limit=1)
    jobs.put("waits", waiting=True)
    jobs.put("never")
    await until(lambda: jobs.runners.waiting == 1)
    await jobs.runners.stop()
    assert (jobs.runners.waiting, jobs.began) == (0, ["waits"])


class Gathering:
    """Batches of numbers that are held until the test lets them go on, and take as long as it says."""

    def __init__(self, limit: Callable[[], int] = lambda: 1) -> None:
        self.clock = StoppedClock()
        self.seen: list[int] = []
        self.takes_us = 0
        self.go_on = asyncio.Event()
        self.batches = Batches(self._run, limit, self.clock, nobody)

    async def _run(self, numbers: Sequence[int]) -> None:
        self.seen.append(len(numbers))
        await self.go_on.wait()
        self.clock.at += self.takes_us

    async def put(self, count: int, batches: int) -> None:
        for number in range(count):
            self.batches.put(number)
        await until(lambda: len(self.seen) == batches)


async def test_what_arrives_while_a_batch_runs_makes_up_the_next() -> None:
    gathering = Gathering()
    await gathering.put(1, batches=1)
    await gathering.put(MOST + 5, batches=1)
    assert gathering.batches.room == 0
    gathering.go_on.set()
    await until(lambda: gathering.seen == [1, MOST, 5])
    assert gathering.batches.room == MOST


async def test_a_batch_that_takes_long_is_followed_by_smaller_ones_until_it_is_quick_again() -> None:
    gathering = Gathering()
    gathering.go_on.set()
    gathering.takes_us = 1_000_001
    await gathering.put(MOST + 32 + 16 + 8, batches=4)
    assert gathering.seen == [64, 32, 16, 8]
    await until(lambda: gathering.batches.room == 8)
    gathering.takes_us = 0
    await gathering.put(8 + 16 + 32, batches=7)
    assert gathering.seen[4:] == [8, 16, 32]


async def test_another_batch_may_begin_when_the_limit_is_raised() -> None:
    limit = 1
    gathering = Gathering(lambda: limit)
    await gathering.put(1, batches=1)
    await gathering.put(2, batches=1)
    limit = 2
    gathering.batches.join()
    await until(lambda: gathering.seen == [1, 2])
    await gathering.batches.stop()
