"""Which step comes before which: the graph that `needs` makes.

Owns the transitive order, cycles, and the graph of a saga with its child sagas opened up. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from saga_engine.definition.model import Action, Child, Definition
from saga_engine.definition.problems import PathPart


@dataclass(frozen=True, slots=True)
class Placed:
    """A step in the graph, and where the author wrote it. A step of a child saga is named `parent_step/child_step`."""

    name: str
    needs: tuple[str, ...]
    action: Action
    path: tuple[PathPart, ...]


class Order:
    """The transitive order of steps. Unknown needs and the edges of cycles count for nothing."""

    def __init__(self, steps: Sequence[Placed]) -> None:
        self._bit = {step.name: 1 << index for index, step in enumerate(steps)}
        needs = {step.name: {need for need in step.needs if need in self._bit} for step in steps}
        self.cycles = tuple(_take_cycles(needs))
        self._before: dict[str, int] = {}
        for name in TopologicalSorter(needs).static_order():
            self._before[name] = 0
            for need in needs[name]:
                self._before[name] |= self._before[need] | self._bit[need]

    def before(self, first: str, second: str) -> bool:
        """Whether `second` follows `first`, directly or not."""
        return bool(self._before[second] & self._bit[first])

    def all_before(self, name: str) -> frozenset[str]:
        """All steps that a step follows."""
        return frozenset(other for other, bit in self._bit.items() if self._before[name] & bit)


def _take_cycles(needs: dict[str, set[str]]) -> Iterable[tuple[str, ...]]:
    """Each cycle as a path whose ends are the same step, in the direction of time; its edges are removed."""
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            for earlier, later in pairwise(cycle):
                needs[later].discard(earlier)
            yield tuple(cycle)
        else:
            return


def placed(definition: Definition) -> tuple[Placed, ...]:
    """The steps as written, children closed. Of steps of one name the first counts."""
    steps: dict[str, Placed] = {}
    for index, step in enumerate(definition.steps):
        steps.setdefault(step.name, Placed(step.name, step.needs, step.action, ("steps", index)))
    return tuple(steps.values())


def opened(definition: Definition) -> tuple[Placed, ...]:
    """The steps with every expanded child saga replaced by its own steps."""
    return tuple(_opened(definition, "", (), None))


def _opened(
    definition: Definition, prefix: str, entry: tuple[str, ...], path: tuple[PathPart, ...] | None
) -> list[Placed]:
    ends: dict[str, tuple[str, ...]] = {}
    steps: list[Placed] = []
    for index, step in _in_order(definition):
        needs = tuple(end for need in step.needs for end in ends.get(need, ())) or entry
        name = prefix + step.name
        where = ("steps", index) if path is None else path
        inner = step.action.definition if isinstance(step.action, Child) else None
        if inner is None:
            steps.append(Placed(name, needs, step.action, where))
            ends[step.name] = (name,)
        else:
            steps.extend(_opened(inner, name + "/", needs, where))
            ends[step.name] = tuple(f"{name}/{end}" for end in _last_steps(inner))
    return steps


def _in_order(definition: Definition) -> list[tuple[int, Placed]]:
    by_name: Mapping[str, Placed] = {step.name: step for step in placed(definition)}
    index_of = {step.name: index for index, step in enumerate(definition.steps)}
    graph = {name: set(step.needs) for name, step in by_name.items()}
    return [(index_of[name], by_name[name]) for name in TopologicalSorter(graph).static_order()]


def _last_steps(definition: Definition) -> list[str]:
    """The names of the opened steps that nothing in the definition needs."""
    steps = _opened(definition, "", (), None)
    needed = {need for step in steps for need in step.needs}
    return [step.name for step in steps if step.name not in needed]
