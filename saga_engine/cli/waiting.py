"""Waiting for a saga: until it has ended or needs an operator, or the time is up.

Owns how often is asked and which status ends the waiting. Prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_STOPS: Final = (Status.BLOCKED, Status.COMPLETED, Status.COMPENSATED, Status.CLOSED)


class Looking(Protocol):
    """What can be asked for a saga's row again and again: a client."""

    def status(self, saga_id: UUID) -> StreamHead: ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Monotonic time in seconds, and how to let some of it pass."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def wait_for(client: Looking, saga_id: UUID, limit: float | None, timing: Timing) -> Status | None:
    """The status at which the saga has stopped, or None when `limit` seconds have passed before.

    Raises what the client raises: a store that is away ends the waiting.
    """
    until = None if limit is None else timing.now() + limit
    pause = _FIRST_PAUSE
    while True:
        status = Status(client.status(saga_id).status)
        if status in _STOPS:
            return status
        left = _LONGEST_PAUSE if until is None else until - timing.now()
        if left <= 0:
            return None
        timing.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
