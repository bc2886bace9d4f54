"""How the handlers of the test participants conduct themselves: a command's whole future is drawn when it first comes.

Owns what a command will do at each of its runs. Knows no database and no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Final

from saga_engine.core.events import Direction
from tests.simulation.faults import Faults

MOST_FAILING_RUNS: Final = 4
"""After so many failing runs a handler works: past the point of no return a saga would else never end."""

_POISONOUS_RUNS: Final = 14
"""More than a worker takes."""

_FOR_EVER: Final = 1_000_000


class Act(StrEnum):
    """What a handler does besides its work."""

    REJECT = "handler rejects"
    FAIL = "handler raises"
    FAIL_FOR_GOOD = "handler raises what is not retried"
    HANG = "handler hangs"
    CRASH = "handler crashes its worker"
    POISON = "handler crashes its worker again and again"
    DENY = "handler crashes its worker, then rejects"
    FAIL_FOR_EVER = "compensation fails for ever"


_FORWARD: Final = (Act.REJECT, Act.FAIL, Act.FAIL_FOR_GOOD, Act.HANG, Act.CRASH, Act.POISON, Act.DENY)
_BACKWARD: Final = (Act.FAIL, Act.HANG, Act.CRASH, Act.FAIL_FOR_EVER)


@dataclass(frozen=True, slots=True)
class Manner:
    """`act` None: it does its work. Else `act` concerns its first `runs` runs. `seconds`: how long it hangs.

    `early`: its first run raises before it has done anything.
    """

    act: Act | None = None
    runs: int = 0
    seconds: float = 0.0
    early: bool = False


class Conduct:
    """The manners of all commands of one run. `hangs_for`: at most, in seconds. `rejected`: a step that always is."""

    def __init__(
        self, seed: int, chances: Mapping[Act, float], faults: Faults, hangs_for: float, rejected: str | None = None
    ) -> None:
        self._seed = seed
        self._chances = chances
        self._faults = faults
        self._hangs_for = hangs_for
        self._rejected = rejected
        self._manners: dict[str, Manner] = {}
        self._runs: dict[str, int] = {}
        self._healed = False

    def heal(self) -> None:
        """From now on nobody hangs or crashes; what fails for ever still does."""
        self._healed = True

    def run(self, key: str, direction: Direction, at: float) -> Manner:
        """A run of this command begins: how it goes."""
        manner = self._manners.get(key)
        if manner is None:
            manner = self._manners[key] = self._draw(key, direction, at)
        self._runs[key] = run = self._runs.get(key, 0) + 1
        if manner.act is None or run > manner.runs:
            return _WORKS
        if manner.act is Act.DENY and (run > 1 or self._healed):
            # Its one run that crashed is past: whatever that has done, it is denied now.
            return Manner(Act.REJECT)
        if self._healed and manner.act in (Act.HANG, Act.CRASH, Act.POISON):
            return _WORKS
        return manner if run == 1 else replace(manner, early=False)

    def _draw(self, key: str, direction: Direction, at: float) -> Manner:
        if direction is Direction.FORWARD and key.split("/")[1] == self._rejected:
            return Manner(Act.REJECT, MOST_FAILING_RUNS)
        random = Random(f"{self._seed} {key}")
        drawn = random.random()
        for act in _FORWARD if direction is Direction.FORWARD else _BACKWARD:
            drawn -= self._chances.get(act, 0.0)
            if drawn < 0:
                return self._manner(act, random) if self._faults.hit(act, key, at) else _WORKS
        return _WORKS

    def _manner(self, act: Act, random: Random) -> Manner:
        few = random.randint(1, MOST_FAILING_RUNS)
        runs = {Act.HANG: 1, Act.POISON: _POISONOUS_RUNS, Act.FAIL_FOR_EVER: _FOR_EVER, Act.DENY: 1 + few}.get(act, few)
        return Manner(act, runs, self._hangs_for * random.random() ** 3, random.random() < 0.5)


_WORKS: Final = Manner()
