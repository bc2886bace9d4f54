"""The search: all states within so many faults, fewest faults first, then nearest to the start; and whether all end.

Owns order, bounds and the way back from a state to how it came about. Knows no property of a single transition.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.core.state import Phase
from saga_engine.definition.model import Definition
from saga_engine.verify.canonical import Canonical
from saga_engine.verify.transition import Transition, Transitions
from saga_engine.verify.world import Fenced, Happened, Violation, World

_PROGRESS_EVERY: Final = 500


@dataclass(frozen=True, slots=True)
class CounterExample:
    """How a property comes to be broken, with the fewest faults, and of those ways the shortest."""

    violation: Violation
    faults: int
    happened: tuple[Happened, ...]


@dataclass(frozen=True, slots=True)
class Explored:
    """What an exploration found. `depth`: the most steps from the start to any state.

    `exhausted`: all states within the bounds were seen. `counter_example` None, and exhausted: every property holds.
    `ends`: how many states each kind of end has.
    """

    states: int
    transitions: int
    depth: int
    exhausted: bool
    ends: dict[str, int]
    counter_example: CounterExample | None

    @property
    def proved(self) -> bool:
        return self.exhausted and self.counter_example is None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far to look: faults in one run of the saga, states in all."""

    faults: int = 3
    states: int = 500_000


def explore(
    definition: Definition,
    fenced: Fenced,
    bounds: Bounds,
    progress: Callable[[int, int], None] | None = None,
) -> Explored:
    """Explore a sound definition whose children are expanded. `progress` is told states seen and states waiting."""
    transitions = Transitions(definition, fenced)
    return _Search(transitions, Canonical(transitions.scene.plan, fenced), bounds, progress).run()


@dataclass(slots=True)
class _Found:
    """One state: its number, the fewest faults and steps to it, and the move and tape that led there from `parent`."""

    number: int
    faults: int
    depth: int
    parent: _Found | None = None
    ordinal: int = 0
    tape: tuple[int, ...] = ()
    expanded: bool = False


class _Queue:
    """States that wait, fewest faults first, then nearest to the start."""

    def __init__(self, faults: int) -> None:
        self._layers: list[dict[int, deque[tuple[_Found, World]]]] = [{} for _ in range(faults + 1)]
        self.waiting = 0

    def put(self, found: _Found, world: World) -> None:
        self._layers[found.faults].setdefault(found.depth, deque()).append((found, world))
        self.waiting += 1

    def take(self) -> tuple[_Found, World] | None:
        """The next state that was not expanded yet."""
        for faults, layer in enumerate(self._layers):
            while layer:
                depth = min(layer)
                found, world = layer[depth].popleft()
                self.waiting -= 1
                if not layer[depth]:
                    del layer[depth]
                if not found.expanded and (found.faults, found.depth) == (faults, depth):
                    return found, world
        return None


@dataclass(frozen=True, slots=True)
class _Breach:
    """A broken property: in a transition from `found`, or (`transition` None) in the state itself."""

    found: _Found
    violation: Violation
    transition: Transition | None
    faults: int
    depth: int


class _Search:
    def __init__(
        self,
        transitions: Transitions,
        canonical: Canonical,
        bounds: Bounds,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._transitions = transitions
        self._canonical = canonical
        self._bounds = bounds
        self._progress = progress
        self._found: dict[int, _Found] = {}
        self._queue = _Queue(bounds.faults)
        self._free: list[array[int]] = []
        self._breach: _Breach | None = None
        self._expanded = self._taken = self._depth = 0
        self._ends: dict[str, int] = {}

    def run(self) -> Explored:
        start = World()
        self._reach(start, None, None, 0)
        while (taken := self._queue.take()) is not None:
            found, world = taken
            if self._breach is not None and (found.faults, found.depth + 1) >= (
                self._breach.faults,
                self._breach.depth,
            ):
                break
            if self._expanded >= self._bounds.states:
                return self._explored(exhausted=self._breach is not None)
            self._expand(found, world)
        if self._breach is None:
            self._breach = self._endless()
        return self._explored(exhausted=True)

    def _explored(self, *, exhausted: bool) -> Explored:
        breach = self._breach
        example = None if breach is None else CounterExample(breach.violation, breach.faults, self._way(breach))
        return Explored(self._expanded, self._taken, self._depth, exhausted, dict(sorted(self._ends.items())), example)

    def _expand(self, found: _Found, world: World) -> None:
        found.expanded = True
        self._expanded += 1
        self._depth = max(self._depth, found.depth)
        if self._progress is not None and self._expanded % _PROGRESS_EVERY == 0:
            self._progress(self._expanded, self._queue.waiting)
        if world.saga.ended_as is not None:
            self._ends[world.saga.ended_as] = self._ends.get(world.saga.ended_as, 0) + 1
        transitions = list(self._transitions.of(world))
        self._taken += len(transitions)
        keys = [self._canonical.key(transition.world) for transition in transitions]
        own = self._canonical.key(world)
        moving = [t for t, key in zip(transitions, keys, strict=True) if t.move.fair and key != own]
        # When nothing else is sure to happen, time passing is no fault.
        stuck = not any(t.cost == 0 for t in moving)
        if stuck and not moving and world.saga.phase is not Phase.ENDED:
            self._note(_Breach(found, _stuck(world), None, found.faults, found.depth))
        for transition, key in zip(transitions, keys, strict=True):
            cost = 0 if stuck and transition.move.time else transition.cost
            if found.faults + cost <= self._bounds.faults:
                self._follow(found, transition, key, cost, free=cost == 0 and key != own)

    def _follow(self, found: _Found, transition: Transition, key: int, cost: int, *, free: bool) -> None:
        if transition.violation is not None:
            self._note(_Breach(found, transition.violation, transition, found.faults + cost, found.depth + 1))
            return
        number = self._reach(transition.world, found, transition, cost, key)
        if free:
            self._free[found.number].append(number)

    def _reach(
        self, world: World, parent: _Found | None, by: Transition | None, cost: int, key: int | None = None
    ) -> int:
        """Note that a state can be reached; it waits to be expanded unless it was reached as well before."""
        key = self._canonical.key(world) if key is None else key
        faults, depth = (0, 0) if parent is None else (parent.faults + cost, parent.depth + 1)
        ordinal, tape = (0, ()) if by is None else (by.ordinal, by.tape)
        known = self._found.get(key)
        if known is None:
            known = self._found[key] = _Found(len(self._found), faults, depth, parent, ordinal, tape)
            self._free.append(array("l"))
            self._queue.put(known, world)
        elif not known.expanded and (faults, depth) < (known.faults, known.depth):
            known.faults, known.depth = faults, depth
            known.parent, known.ordinal, known.tape = parent, ordinal, tape
            self._queue.put(known, world)
        return known.number

    def _note(self, breach: _Breach) -> None:
        if self._breach is None or (breach.faults, breach.depth) < (self._breach.faults, self._breach.depth):
            self._breach = breach

    def _endless(self) -> _Breach | None:
        """A state from which a saga may go round for ever without any fault."""
        number = find_cycle(self._free)
        if number is None:
            return None
        found = next(one for one in self._found.values() if one.number == number)
        what = "from here it can go on for ever without any fault, back to where it is"
        return _Breach(found, Violation("every saga ends", what), None, found.faults, found.depth)

    def _way(self, breach: _Breach) -> tuple[Happened, ...]:
        """What happened, from the start: the moves are made again, now with their events."""
        chain: list[_Found] = []
        found: _Found | None = breach.found
        while found is not None and found.parent is not None:
            chain.append(found)
            found = found.parent
        world, happened = World(), []
        for step in reversed(chain):
            taken = next(
                one for one in self._transitions.of(world) if (one.ordinal, one.tape) == (step.ordinal, step.tape)
            )
            happened.append(Happened(taken.move.told, taken.events))
            world = taken.world
        if breach.transition is not None:
            happened.append(Happened(breach.transition.move.told, breach.transition.events))
        return tuple(happened)


def find_cycle(edges: Sequence[Sequence[int]]) -> int | None:
    """A node on a cycle of a graph given by the successors of each node; None when there is no cycle."""
    waiting = [0] * len(edges)
    for successors in edges:
        for successor in successors:
            waiting[successor] += 1
    free = [node for node, count in enumerate(waiting) if count == 0]
    while free:
        for successor in edges[free.pop()]:
            waiting[successor] -= 1
            if waiting[successor] == 0:
                free.append(successor)
    left = next((node for node, count in enumerate(waiting) if count > 0), None)
    if left is None:
        return None
    before = {successor: node for node, successors in enumerate(edges) if waiting[node] for successor in successors}
    seen: set[int] = set()
    while left not in seen:
        seen.add(left)
        left = before[left]
    return left


def _stuck(world: World) -> Violation:
    saga = world.saga
    waits = ", ".join(f"{place} ({saga.steps[place].status})" for place in saga.active) or "nothing"
    what = f"nothing more is sure to happen, and the saga has not ended; it waits for {waits}"
    return Violation("every saga ends", what)
