"""Identifiers: UUIDv7 (RFC 9562, section 5.7), time-ordered, so that new rows land at the end of an index.

Time and randomness are given from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID


def lowest_id(at: int) -> UUID:
    """An id below all that were made at the time `at` (microseconds since 1970) or later, to the millisecond."""
    return UUID(int=at // 1000 << 80)


class TimeOrderedIds:
    """Makes UUIDv7. Within one maker, ids of the same or an earlier millisecond still go up.

    `random` gives that many random bytes: `secrets.token_bytes` in production, a seeded source in simulation.
    """

    __slots__ = ("_count", "_last", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._last = 0
        self._count = 0

    def new(self, at: int) -> UUID:
        """An id for the time `at`, in microseconds since 1970."""
        millisecond = at // 1000
        if millisecond > self._last:
            self._last, self._count = millisecond, 0
        else:
            self._count += 1
            if self._count == 0x1000:
                self._last, self._count = self._last + 1, 0
        tail = int.from_bytes(self._random(8)) & 0x3FFF_FFFF_FFFF_FFFF
        return UUID(int=self._last << 80 | 0x7 << 76 | self._count << 64 | 0b10 << 62 | tail)
