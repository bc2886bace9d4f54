"""Ends asyncio tasks, for certain: the one way in which everything here waits for what it has cancelled.

Knows nothing of what a task does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, TypeVar

T = TypeVar("T")

_CANCEL_AGAIN: Final = 1.0
"""Seconds: time for a task to clean up after itself, before it is taken to have missed its cancellation."""


async def end_tasks(tasks: Iterable[asyncio.Task[T]]) -> None:
    """Cancel tasks until all have ended. What they raise is theirs to tell: it is not raised here.

    Once may not be enough: `asyncio.wait_for` of Python 3.11 swallows a cancellation when what is waited for is there
    at the same moment, and so do libraries and handlers that catch too much.
    """
    ending = list(tasks)
    while left := [task for task in ending if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_CANCEL_AGAIN)
    for task in ending:
        if not task.cancelled():
            # Looked at, so that asyncio does not report it as never retrieved.
            task.exception()
