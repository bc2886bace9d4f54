"""What can go wrong at a port, and who decides that it does: chance, a fail-the-n-th-call plan, or nothing any more.

Owns the points at which a process leaves itself and what may strike it there. How a strike shows is the port's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, Protocol


class Point(StrEnum):
    """Where a process leaves itself. Every call of a port passes one of them."""

    BEGIN = "begin"
    READ = "read"
    WRITE = "write"
    COMMIT = "commit"
    PUBLISH = "publish"
    RECEIVE = "receive"
    ACK = "ack"
    PUT_BACK = "put back"
    PROGRESS = "progress"
    RING = "ring"


class Strike(StrEnum):
    """What may happen at a point."""

    KILL = "kill before"
    KILL_AFTER = "kill after"
    BUSY = "40001"
    """The transaction lost; SQLite's BUSY, PostgreSQL's serialization failure."""
    UNREACHABLE = "connection lost"
    FULL = "disk full"
    READ_ONLY = "read-only"
    UNKNOWN_APPLIED = "40003 applied"
    UNKNOWN_NOT_APPLIED = "40003 not applied"
    DROP = "dropped"
    ACK_LOST = "ack lost"
    VANISH = "acknowledged and gone"
    DELAY = "delayed"
    DUPLICATE = "duplicated"


STRIKES: Final[Mapping[Point, tuple[Strike, ...]]] = {
    Point.BEGIN: (Strike.KILL, Strike.BUSY, Strike.UNREACHABLE),
    Point.READ: (Strike.KILL, Strike.KILL_AFTER, Strike.BUSY, Strike.UNREACHABLE),
    Point.WRITE: (Strike.KILL, Strike.BUSY, Strike.UNREACHABLE, Strike.FULL, Strike.READ_ONLY),
    Point.COMMIT: (
        Strike.KILL,
        Strike.KILL_AFTER,
        Strike.BUSY,
        Strike.FULL,
        Strike.UNKNOWN_APPLIED,
        Strike.UNKNOWN_NOT_APPLIED,
    ),
    Point.PUBLISH: (
        Strike.KILL,
        Strike.KILL_AFTER,
        Strike.DROP,
        Strike.ACK_LOST,
        Strike.VANISH,
        Strike.DELAY,
        Strike.DUPLICATE,
    ),
    Point.RECEIVE: (Strike.KILL_AFTER, Strike.DROP, Strike.DUPLICATE),
    Point.ACK: (Strike.KILL, Strike.KILL_AFTER, Strike.DROP),
    Point.PUT_BACK: (Strike.KILL, Strike.KILL_AFTER, Strike.DROP),
    Point.PROGRESS: (Strike.KILL, Strike.DROP),
    Point.RING: (Strike.KILL, Strike.DROP),
}
"""What may strike where."""

DATABASE_POINTS: Final = frozenset({Point.BEGIN, Point.READ, Point.WRITE, Point.COMMIT})


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that hit. `number` counts all of them in order; the name is the same in every run of the seed."""

    number: int
    name: str
    at: float


class Faults:
    """All faults of one run pass here: they are counted, named, and can be held back one by one.

    `allowed`: only faults of these names hit (None: all), for the search of the few that matter.
    """

    def __init__(self, allowed: Set[str] | None = None) -> None:
        self.hits: list[Hit] = []
        self.counts: Counter[str] = Counter()
        self._allowed = allowed
        self._drawn: Counter[str] = Counter()

    def hit(self, kind: str, target: str, at: float) -> bool:
        """Chance wants this fault. True: it hits; False: it is held back."""
        what = f"{kind} @ {target}"
        self._drawn[what] += 1
        name = f"{what} #{self._drawn[what]}"
        if self._allowed is not None and name not in self._allowed:
            return False
        self.hits.append(Hit(len(self.hits), name, at))
        self.counts[kind] += 1
        return True


class Striker(Protocol):
    """Decides what strikes a process at a point, and how long it lingers there."""

    def strike(self, process: str, point: Point) -> Strike | None: ...

    def latency(self) -> float: ...


class Calm:
    """Nothing strikes."""

    def strike(self, process: str, point: Point) -> Strike | None:
        return None

    def latency(self) -> float:
        return 0.0


class ByChance:
    """Strikes with the chances given for each kind, from one random stream."""

    def __init__(self, random: Random, chances: Mapping[Strike, float], faults: Faults, latency: float) -> None:
        self._random = random
        self._faults = faults
        self._latency = latency
        self._by_point = {
            point: tuple((strike, chances[strike]) for strike in strikes if chances.get(strike))
            for point, strikes in STRIKES.items()
        }

    def strike(self, process: str, point: Point) -> Strike | None:
        chances = self._by_point[point]
        if not chances:
            return None
        drawn = self._random.random()
        for strike, chance in chances:
            drawn -= chance
            if drawn < 0:
                return strike if self._faults.hit(strike, f"{process} {point}", 0.0) else None
        return None

    def latency(self) -> float:
        """Mostly none; else up to a second, mostly little."""
        drawn = self._random.random()
        return 0.0 if drawn > self._latency else (drawn / self._latency) ** 4


class NthCall:
    """Exactly one strike, at the n-th call (from 1) of any port that it can strike. `struck`: where it did."""

    def __init__(self, strike: Strike, nth: int, faults: Faults) -> None:
        self.struck = ""
        self._strike = strike
        self._left = nth
        self._faults = faults

    def strike(self, process: str, point: Point) -> Strike | None:
        if self._left == 0 or self._strike not in STRIKES[point]:
            return None
        self._left -= 1
        if self._left:
            return None
        self.struck = f"{process} {point}"
        return self._strike if self._faults.hit(self._strike, self.struck, 0.0) else None

    def latency(self) -> float:
        return 0.0
