"""A seeded bug: one mistake that a developer could have made, planted into the engine for as long as a run lasts.

Owns planting and taking back. Knows neither what is planted nor who looks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Replacement:
    """`owner.name` (of a class or a module) is `by` while the bug is planted."""

    owner: object
    name: str
    by: object


Plant: TypeAlias = Callable[[], Iterable[Replacement]]


@dataclass(frozen=True, slots=True)
class Model:
    """What the model check explores to find the bug: a definition, and the rule that must turn out to be broken."""

    text: str
    rule: str
    fenced: bool = True
    faults: int = 2


@dataclass(frozen=True, slots=True)
class SeededBug:
    """`mistake`: what the developer did. `invariants`: the numbers of those that fit it; one of them must object.

    `model`: how the model check finds it too, where the mistake is in the decider.
    """

    name: str
    mistake: str
    invariants: frozenset[str]
    plant: Plant
    model: Model | None = None

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The engine has this bug while the context lasts."""
        with ExitStack() as stack:
            for replacement in self.plant():
                stack.callback(setattr, replacement.owner, replacement.name, _there(replacement))
                setattr(replacement.owner, replacement.name, replacement.by)
            yield


def _there(replacement: Replacement) -> object:
    """What is to be put back, as it is defined: a property and not its value."""
    owned = vars(replacement.owner)
    if replacement.name not in owned:
        raise LookupError(f"{replacement.owner} has no {replacement.name} of its own: the bug would not be planted")
    return owned[replacement.name]


def seeded(*invariants: str, model: Model | None = None) -> Callable[[Plant], SeededBug]:
    """A bug of the name and docstring of the function that plants it."""

    def make(plant: Plant) -> SeededBug:
        mistake = " ".join((plant.__doc__ or "").split())
        return SeededBug(plant.__name__.replace("_", " "), mistake, frozenset(invariants), plant, model)

    return make
