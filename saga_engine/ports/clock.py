"""The time, as the engine asks for it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time. `now` is the store's clock in microseconds; `sleep` takes seconds and may be virtual."""

    def now(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...
