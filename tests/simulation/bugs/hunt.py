"""The hunt for one seeded bug: schedule after schedule until a fitting invariant objects; and by the model check.

Owns what counts as caught: an objection of an invariant that fits the mistake, in a schedule that is clean without it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from saga_engine.verify.explore import Bounds, explore
from tests.simulation.bugs.seeded import Model, SeededBug
from tests.simulation.run import run_seed
from tests.unit.verify.support import define

MOST_SCHEDULES: Final = 10_000
_MOST_STATES: Final = 50_000


@dataclass(frozen=True, slots=True)
class Trail:
    """What came of the hunt for the bug `name`.

    `invariants`: those fitting ones that objected in the schedule that caught it. `schedule`: how many it took, from
    seed 1 on, that one the last; 0: none of them did. `violation`: what the first of them said. `states`: how many the
    model check took to find it; None: it is not a bug of a model. `seconds`: of processor time.
    """

    name: str
    schedule: int
    invariants: tuple[str, ...]
    violation: str
    states: int | None
    seconds: float

    @property
    def caught(self) -> bool:
        return self.schedule > 0


def hunt(bug: SeededBug, most: int = MOST_SCHEDULES) -> Trail:
    """Look for a bug in the schedules of the seeds from 1 on, at most so many.

    Raises:
        AssertionError: the schedule that caught it is not clean without it, or the model check breaks another rule.
    """
    began = time.process_time()
    states = None if bug.model is None else _explored(bug, bug.model)
    for seed in range(1, most + 1):
        objections = objected(bug, seed)
        if objections:
            clean = run_seed(seed).violations
            assert not clean, f"seed {seed} is not clean without {bug.name}: {clean[0]}"
            invariants = tuple(sorted({each.split()[0] for each in objections}))
            return Trail(bug.name, seed, invariants, objections[0], states, time.process_time() - began)
    return Trail(bug.name, 0, (), "", states, time.process_time() - began)


def objected(bug: SeededBug, seed: int) -> list[str]:
    """What the invariants that fit a bug object to in the schedule of a seed that has it."""
    return [each for each in run_seed(seed, bug=bug.planted).violations if each.split()[0] in bug.invariants]


def _explored(bug: SeededBug, model: Model) -> int:
    """How many states it takes the model check to find the bug."""
    with bug.planted():
        result = explore(
            define(model.text), lambda _participant, _command: model.fenced, Bounds(model.faults, _MOST_STATES)
        )
    found = result.counter_example
    assert found is not None, f"the model check finds nothing wrong with {bug.name}"
    assert found.violation.rule == model.rule, f"{bug.name} breaks {found.violation.rule!r}, expected {model.rule!r}"
    return result.states
