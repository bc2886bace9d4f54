"""How far another clock is from this machine's. Reads no clock itself, apart from this machine's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.elapsed import elapsed

MOST_SKEW_US: Final = 1_000_000
"""Beyond what reading a clock over a network may cost, and what synchronised clocks are apart."""


def skew(where: str, read: Callable[[], int]) -> Finding:
    """What the difference to the clock that `read` gives means, microseconds. The way there is halved."""
    before = _now()
    theirs = read()
    return skew_finding(where, theirs - (before + _now()) // 2)


def skew_finding(where: str, ahead: int) -> Finding:
    """What it means that the clock over there is `ahead` microseconds before ours."""
    if abs(ahead) <= MOST_SKEW_US:
        return fine("clock", where, f"its clock is within {elapsed(abs(ahead))} of this machine's")
    what = f"its clock is {elapsed(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return Finding(
        "clock",
        Severity.WARNING,
        where,
        what,
        "Sagas go by the store's clock and come to no harm, but times in logs do not fit, and certificates may fail.",
        "timedatectl status",
    )


def _now() -> int:
    return time.time_ns() // 1_000
