"""Looks at what may not answer, such as a database: bounded, one at a time, and not more often than is of use.

However many ask for metrics or readiness, and however long the other side hangs, the engine has one look to bear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from saga_engine.tasks import end_tasks

T = TypeVar("T")

WITHIN_S: Final = 2.0
"""How long who asks waits for a look."""


class Look(Generic[T]):
    """What `look` has found, no older than `fresh_s` seconds. `look` gives None for what could not be found."""

    def __init__(self, look: Callable[[], Awaitable[T | None]], fresh_s: float, within_s: float = WITHIN_S) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._within_s = within_s
        self._task: asyncio.Task[T | None] | None = None
        self._found: T | None = None
        self._since = 0.0

    async def found(self) -> T | None:
        """What there is; None when it could not be found out in time. Then the same look may serve who asks later.

        Raises what `look` raises.
        """
        loop = asyncio.get_running_loop()
        if self._found is not None and loop.time() - self._since < self._fresh_s:
            return self._found
        task = self._task
        if task is None:
            task = self._task = asyncio.create_task(self._run())
        done, _ = await asyncio.wait((task,), timeout=self._within_s)
        if not done:
            self._found = None
            return None
        return task.result()

    async def close(self) -> None:
        """Wait for no look any more."""
        if self._task is not None:
            await end_tasks([self._task])

    async def _run(self) -> T | None:
        try:
            self._found = await self._look()
            self._since = asyncio.get_running_loop().time()
            return self._found
        finally:
            self._task = None
