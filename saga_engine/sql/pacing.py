"""How the retries of a transaction pass their time: a clock that only goes forward, and pauses with jitter.

Belongs to an engine, not to a call, so that whoever uses the engine retries in its time. Knows no database.
"""

from __future__ import annotations

import random
import time
from typing import Final, Protocol

from sqlalchemy import Engine

_OPTION: Final = "saga_engine_pacing"


class Pacing(Protocol):
    """Time for blocking code, in seconds."""

    def monotonic(self) -> float:
        """A clock that only goes forward."""
        ...

    def pause(self, longest: float) -> None:
        """Wait for a random part of `longest`: full jitter, so that those who collided do not collide again."""
        ...


class ThreadPacing:
    """`Pacing` of a thread: it sleeps."""

    def monotonic(self) -> float:
        return time.monotonic()

    def pause(self, longest: float) -> None:
        time.sleep(random.uniform(0, longest))


_THREAD: Final = ThreadPacing()


def pace(engine: Engine, pacing: Pacing) -> None:
    """Let the transactions of this engine be retried at this pace; without it, at that of a thread."""
    engine.update_execution_options(**{_OPTION: pacing})


def pacing_of(engine: Engine) -> Pacing:
    pacing: Pacing = engine.get_execution_options().get(_OPTION, _THREAD)
    return pacing
