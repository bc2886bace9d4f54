"""Gathers commands whose handlers may share a transaction: what arrives while one batch runs makes up the next.

Owns the size of a batch. Knows neither database nor transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from saga_engine.ports.clock import Clock
from saga_engine.tasks import end_tasks

T = TypeVar("T")

MOST: Final = 64
"""Commands in a transaction. PostgreSQL keeps the savepoints of a transaction at hand up to that number, and every
other transaction pays for more."""
_LEAST: Final = 8
"""Smaller ones would not be quicker: what a transaction itself costs is then most of what takes long."""
_LONG_US: Final = 1_000_000
"""A batch that takes longer is followed by a smaller one: it holds locks, and its first command waits for the last."""


class Batches(Generic[T]):
    """Hands what is put in to `run`, in order, at most `limit()` batches at a time, so that they grow with the load.

    `run` takes care of its own exceptions. `changed` is called after each batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[None]],
        limit: Callable[[], int],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._run = run
        self._limit = limit
        self._clock = clock
        self._changed = changed
        self._queue: deque[T] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._most = MOST

    @property
    def queued(self) -> int:
        """How many have not begun."""
        return len(self._queue)

    @property
    def room(self) -> int:
        """How many more are welcome: enough for the next batch to be full."""
        return max(0, self._most - len(self._queue))

    def put(self, one: T) -> None:
        self._queue.append(one)
        self.join()

    def join(self) -> None:
        """Begin a batch with what is there, when there may be one more."""
        if self._queue and len(self._tasks) < self._limit():
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Begin no more, and wait for none."""
        self._queue.clear()
        await end_tasks(self._tasks)

    async def _work(self) -> None:
        while self._queue and len(self._tasks) <= self._limit():
            batch = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
            began = self._clock.now()
            await self._run(batch)
            took_long = self._clock.now() - began > _LONG_US
            self._most = max(_LEAST, len(batch) // 2) if took_long else min(MOST, self._most * 2)
            self._changed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.join()
        self._changed()
