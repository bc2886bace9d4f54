"""Tasks that run jobs: one goes from job to job as long as none waits, and is joined by another when one does.

Owns how many jobs wait at once. Knows nothing of what a job does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TypeAlias

import structlog

from saga_engine.participant.stepping import Waiting, begin
from saga_engine.tasks import end_tasks

Job: TypeAlias = Callable[[], Coroutine[object, object, None]]

log = structlog.get_logger("saga_engine.participant")


class Runners:
    """Runs jobs in their order, at most `limit()` of them at a time. `changed` is called after each that ended.

    A job takes care of its own exceptions; one that lets one pass is logged, and the others go on. Each has context
    variables of its own, as it would in a task.
    """

    def __init__(self, limit: Callable[[], int], changed: Callable[[], None]) -> None:
        self._limit = limit
        self._changed = changed
        self._queue: deque[Job] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._free: asyncio.Task[None] | None = None
        self.waiting = 0

    @property
    def queued(self) -> int:
        """How many jobs have not begun."""
        return len(self._queue)

    def put(self, job: Job) -> None:
        self._queue.append(job)
        self.join()

    def join(self) -> None:
        """Let another task take up what is queued, when none is at it and there may be one more."""
        if self._queue and self._free is None and self.waiting < self._limit():
            self._free = task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Begin no more, and cancel what waits."""
        self._queue.clear()
        await end_tasks(self._tasks)

    async def _run(self) -> None:
        own = asyncio.current_task()
        while self._queue and self._free is own:
            job = self._queue.popleft()
            try:
                rest = begin(job(), copy_context())
                if isinstance(rest, Waiting):
                    await self._wait(rest)
            except Exception as error:
                log.error("a command could not be handled", exc_info=error)
            if self._free is None:
                self._free = own
            self._changed()

    async def _wait(self, rest: Waiting[None]) -> None:
        """Let another task go on with the queue until this job has ended."""
        self._free = None
        self.waiting += 1
        self.join()
        try:
            await rest
        finally:
            self.waiting -= 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._free is task:
            self._free = None
        self.join()
        self._changed()
