"""What was done to the system around the sagas, how its processes fared, and what was left of them at rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the system, or to one part of it, from `at` until `until` (None: a moment)."""

    kind: str
    target: str
    at: int
    until: int | None = None
    order: int | None = None
    detail: str = ""


class ProcessChange(StrEnum):
    STARTED = "started"
    KILLED = "killed"
    STOPPED = "stopped"
    """On request, cleanly."""
    DIED = "died"
    """By itself: a defect."""
    PAUSED = "paused"
    CONTINUED = "continued"


@dataclass(frozen=True, slots=True)
class ProcessChanged:
    """A process of the system began, ended, was paused. `role`: orchestrator, worker, broker, database, client."""

    process: str
    role: str
    change: ProcessChange
    at: int
    order: int | None = None


@dataclass(frozen=True, slots=True)
class Remainder:
    """How much was left at rest of what should be gone: unacknowledged messages, timers, tasks above the baseline."""

    what: str
    count: int
