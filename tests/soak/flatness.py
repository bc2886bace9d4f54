"""Whether a series of samples is flat: its slope per hour, and how much that may be. Pure.

Owns what is known to fill and to be full one day: growth by that much is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from saga_engine.envelope import SAGAS_AT_HAND
from tests.soak.samples import Sample

WARM_UP: Final = 1 / 3
"""Of the time: caches fill, pools open their connections, allocators find their size."""

_ID_KIB: Final = 0.7
"""What the id of a saga takes in the two caches of ids. Measured: 0.65."""

_HOUR_S: Final = 3600.0
_MOST_POINTS: Final = 300


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured. `per_hour`: the slope that is allowed; `noise`: what it may vary by all the same."""

    unit: str
    per_hour: float
    noise: float
    of: Callable[[Sample], int]


MEMORY: Final = "memory"
MEASURES: Final[Mapping[str, Measure]] = {
    MEMORY: Measure("KiB", 1024, 3072, lambda one: one.memory_kib),
    "descriptors": Measure("", 0, 3, lambda one: one.descriptors),
    "connections": Measure("", 0, 2, lambda one: one.connections),
    "threads": Measure("", 0, 2, lambda one: one.threads),
}
"""Memory: 1 MiB an hour, as the goals say, and 3 MiB for what an allocator and SQLite's pages come and go by."""


@dataclass(frozen=True, slots=True)
class Slope:
    """What became of one measure: at the beginning (after the warm-up) and end, and its slope per hour."""

    begin: float
    end: float
    per_hour: float
    flat: bool


def filling(before: float, after: float) -> float:
    """KiB that the caches of ids take on while the sagas seen go from `before` to `after`: 0 once they are full."""
    return _ID_KIB * (min(after, SAGAS_AT_HAND) - min(before, SAGAS_AT_HAND))


def slope(samples: Sequence[Sample], measure: Measure, known: float = 0.0) -> Slope:
    """The slope after the warm-up: the median of the slopes of all pairs (Theil and Sen), which spikes do not move.

    Flat when what rose over the time watched, by that slope, is within what is allowed, and `known` to rise by that
    much at most. Raises ValueError for fewer than four samples after the warm-up.
    """
    began, ended = samples[0].at, samples[-1].at
    warm = [one for one in samples if one.at >= began + (ended - began) * WARM_UP]
    points = [(one.at, measure.of(one)) for one in warm[:: max(1, len(warm) // _MOST_POINTS)]]
    if len(points) < 4:
        raise ValueError(f"{len(points)} samples tell no slope: let it run longer")
    pairs = [(later - value) / (after - at) for i, (at, value) in enumerate(points) for after, later in points[i + 1 :]]
    per_hour = median(pairs) * _HOUR_S
    hours = (points[-1][0] - points[0][0]) / _HOUR_S
    quarter = max(1, len(points) // 4)
    begin, end = median(value for _, value in points[:quarter]), median(value for _, value in points[-quarter:])
    return Slope(begin, end, per_hour, per_hour * hours <= measure.per_hour * hours + measure.noise + known)
