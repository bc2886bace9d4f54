"""The store's time, without asking the store each time: its clock, sampled, plus local monotonic time.

Deadlines follow one clock however many machines there are, and a jump of the machine's own clock changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class StoreClock:
    """`sample` asks the database for its time in microseconds; until it was called once, `now` asks it.

    `monotonic_ns`: the local clock that runs on between two samples.
    """

    def __init__(self, ask: Callable[[], int], monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._ask = ask
        self._monotonic_ns = monotonic_ns
        self._offset: int | None = None

    def sample(self) -> None:
        """Ask the store, which blocks. Half of the round trip is taken for the way back."""
        before = self._monotonic_ns()
        stored = self._ask()
        after = self._monotonic_ns()
        self._offset = stored - (before + after) // 2000

    def now(self) -> int:
        if self._offset is None:
            self.sample()
        assert self._offset is not None
        return self._monotonic_ns() // 1000 + self._offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
