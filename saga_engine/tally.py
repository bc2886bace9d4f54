"""Counts of how long something took, by bucket: what a histogram is made from.

Owns the buckets. A plain object of the event loop's, cheap enough for every saga; knows no metrics library.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BOUNDS_US: Final = (
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000, 300_000_000, 3_600_000_000, 86_400_000_000,
)  # fmt: skip
"""Upper bounds in microseconds: from a commit's to a day's, for a saga that waits for people."""


class Tally:
    """How often, and how long. `buckets[i]`: how many took at most `BOUNDS_US[i]` and more than the bound before."""

    __slots__ = ("buckets", "total_us")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_US) + 1)
        self.total_us = 0

    def add(self, microseconds: int) -> None:
        self.buckets[bisect_left(BOUNDS_US, microseconds)] += 1
        self.total_us += microseconds

    @property
    def count(self) -> int:
        return sum(self.buckets)
