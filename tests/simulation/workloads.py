"""What the simulated clients start: reference sagas, each with a trait of its own, and random sound definitions.

Owns definitions and inputs. Loads each definition once per process. Knows no fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

from saga_engine.definition.model import Definition, Json
from saga_engine.testing.sources import load
from tests.simulation.random_definitions import random_definition

Definitions = Mapping[str, Mapping[int, Definition]]

_FOLDER: Final = Path(__file__).parent / "definitions"

REFERENCE: Final = (
    "order",
    "transfer",
    "fan",
    "chain",
    "each",
    "pivot",
    "patient",
    "parent",
    "loan",
    "single",
    "paced",
    "once",
)
RANDOM: Final = "random"
_RANDOM_DEFINITIONS: Final = 150
"""So many different ones, so that each process compiles them once."""


@dataclass(frozen=True, slots=True)
class Workload:
    """`name` is the saga that is started. `signals`: what its waits wait for."""

    name: str
    definitions: Definitions
    signals: tuple[str, ...] = ("News", "Other")

    @property
    def definition(self) -> Definition:
        return self.definitions[self.name][1]

    @property
    def outside(self) -> bool:
        """Whether some of its handlers have no inbox."""
        return self.name in ("loan", "once")

    @property
    def once(self) -> bool:
        """Whether one failed attempt of a handler without an inbox is compensated, while a copy of it may still run."""
        return self.name == "once"

    @property
    def paced(self) -> bool:
        """Whether its time passes in sleeps: who takes it over finds it waiting for no reply."""
        return self.name == "paced"

    def input(self, random: Random, number: int) -> Json:
        """The input of the `number`-th saga."""
        return {
            "id": f"{self.name}-{number}",
            "amount": random.randint(1, 100),
            "items": [random.randint(1, 9) for _ in range(random.randint(0, 4))],
        }


def workload(random: Random) -> Workload:
    """One for a run, mostly a reference saga."""
    name = random.choice((*REFERENCE, *REFERENCE, *REFERENCE, RANDOM, RANDOM, RANDOM, RANDOM, RANDOM))
    return random_workload(random.randrange(_RANDOM_DEFINITIONS)) if name == RANDOM else reference(name)


@cache
def reference(name: str) -> Workload:
    """A reference saga with what it needs."""
    names = (name, "child") if name == "parent" else (name,)
    return Workload(name, {each: {1: load(_FOLDER / f"{each}.yaml")} for each in names})


@cache
def random_workload(number: int) -> Workload:
    """The `number`-th random definition."""
    return Workload(RANDOM, {RANDOM: {1: load(random_definition(Random(f"definition {number}")))}})
