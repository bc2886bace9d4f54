"""What can come of a domain event of others: taken, not yet, never. Pure values."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from saga_engine.immutable import dataclass


@dataclass(frozen=True, slots=True)
class Done:
    """Committed, or nothing to do. `saga_id`: the saga that has something new; None: none has. `why`: for nothing."""

    saga_id: UUID | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet. `outage`: not for any fault of the event, so that it is never given up."""

    reason: str
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Hopeless:
    """It can never lead to anything: a dead letter."""

    reason: str


Verdict: TypeAlias = Done | Later | Hopeless
