"""Guards against an empty pass: so much must have happened at least, in proportion to the number of schedules.

Owns the minimum counts. They stand well below what is usual, and well above what chance leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

PER_THOUSAND: Final[Mapping[str, int]] = {
    "sagas": 1_000,
    "completed": 500,
    "compensated": 200,
    "closed": 1,
    "blocked sagas": 8,
    "unknown outcomes": 100,
    "tombstones used": 2,
    "conflicts": 50,
    "40001": 200,
    "40003 applied": 60,
    "40003 not applied": 60,
    "connection lost": 100,
    "disk full": 50,
    "kill": 50,
    "kill before": 40,
    "kill after": 40,
    "pause past a lease": 50,
    "stop": 50,
    "broker outage": 50,
    "broker amnesia": 50,
    "broker rolled back": 50,
    "store outage": 50,
    "participant's database outage": 50,
    "clock jump": 50,
    "dropped": 200,
    "ack lost": 60,
    "acknowledged and gone": 60,
    "delayed": 60,
    "duplicated": 100,
    "redeliveries": 500,
    "re-sends": 300,
    "late replies": 200,
    "forged replies": 50,
    "lease take-overs": 200,
    "handler rejects": 50,
    "handler raises": 50,
    "handler hangs": 20,
    "handler crashes its worker": 20,
    "compensation fails for ever": 5,
}
"""In a thousand schedules."""


def missing(counts: Mapping[str, int], schedules: int) -> Sequence[str]:
    """What has not happened often enough."""
    return [
        f"{name}: {counts.get(name, 0)}, expected at least {least * schedules // 1_000}"
        for name, least in PER_THOUSAND.items()
        if counts.get(name, 0) < least * schedules // 1_000
    ]
