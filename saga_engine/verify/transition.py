"""One step of the exploration: a move meets the real decider, and the properties look at what came of it.

Owns what is one transition. Searches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, decide
from saga_engine.core.events import CommandIssued, Direction, Event
from saga_engine.core.state import address
from saga_engine.core.timing import next_due
from saga_engine.definition.model import Definition
from saga_engine.verify.abstraction import Asked, Choices, abstract
from saga_engine.verify.moves import moves
from saga_engine.verify.participants import Slot
from saga_engine.verify.properties import Properties
from saga_engine.verify.reduction import Reduction
from saga_engine.verify.times import younger
from saga_engine.verify.world import Fenced, Move, Scene, Violation, World


@dataclass(frozen=True, slots=True)
class Transition:
    """A move and what followed. `ordinal` and `tape` find it again; `violation`: the property that it broke."""

    ordinal: int
    tape: tuple[int, ...]
    move: Move
    events: tuple[Event, ...]
    world: World
    cost: int
    violation: Violation | None


class Transitions:
    """The transition relation of one saga over the real decider."""

    def __init__(self, definition: Definition, fenced: Fenced) -> None:
        self._choices = Choices()
        self.scene = Scene(compile_plan(abstract(definition, self._choices)), fenced)
        self._properties = Properties(self.scene)
        self._reduction = Reduction(self.scene)

    def of(self, world: World) -> Iterator[Transition]:
        """Every transition from a world, in an order that is always the same."""
        lone = self._reduction.lone(world)
        for ordinal, move in enumerate(moves(self.scene, world, lone)):
            tapes: list[tuple[int, ...]] = [()]
            while tapes:
                tape = tapes.pop()
                transition = self._take(world, ordinal, move, tape)
                tapes += self._alternatives(len(tape))
                if transition is not None:
                    yield transition if lone is None else _alone(world, lone, transition)

    def _alternatives(self, fixed: int) -> Iterator[tuple[int, ...]]:
        """The tapes on which one of the questions beyond the `fixed` ones is answered otherwise."""
        asked = self._choices.asked
        for index in range(fixed, len(asked)):
            before = tuple(one.value for one in asked[:index])
            for value in range(1, len(asked[index].costs)):
                yield (*before, value)

    def _take(self, world: World, ordinal: int, move: Move, tape: tuple[int, ...]) -> Transition | None:
        self._choices.begin(world.answers, tape)
        slots = {**world.slots, **dict(move.slots)} if move.slots else world.slots
        if move.input is None:
            after = replace(world, slots=slots)
            found = self._properties.check(world, move, None, after)
            return Transition(ordinal, tape, move, (), after, move.cost, found)
        try:
            decision = decide(self.scene.plan, move.saga, move.input)
        except Exception as error:  # noqa: BLE001 - a decider that raises is a finding like any other
            found = Violation("the decider is total", f"it raised {type(error).__name__}: {error}")
            return Transition(ordinal, tape, move, (), world, move.cost, found)
        if not isinstance(decision, Decided):
            return None
        asked = tuple(self._choices.asked)
        state = younger(self.scene, decision.state, move.quiet) if move.time else decision.state
        after = World(state, self._issued(slots, decision.events), _remember(world, asked))
        found = self._properties.check(world, move, decision, after) or self._unnoticed(move)
        cost = move.cost + sum(one.costs[one.value] for one in asked)
        return Transition(ordinal, tape, move, decision.events, after, cost, found)

    def _issued(self, slots: Mapping[str, Slot], events: tuple[Event, ...]) -> Mapping[str, Slot]:
        new: dict[str, Slot] = {}
        for event in events:
            if isinstance(event, CommandIssued) and event.direction is Direction.FORWARD:
                place, call = address(event.step, event.item), self.scene.plan.nodes[event.step].call
                if call is not None and place not in slots:
                    new[place] = self.scene.new_slot(call)
        return {**slots, **new} if new else slots

    def _unnoticed(self, move: Move) -> Violation | None:
        """A time that ran out must have been announced, or nobody would have looked at the saga."""
        if not move.time:
            return None
        due = next_due(self.scene.plan, move.saga, -1)
        if due is not None and due <= 0:
            return None
        return Violation("times are announced", f"{move.told}, but the saga was not to be looked at then")


def _remember(world: World, asked: tuple[Asked, ...]) -> Mapping[str, int]:
    new = {one.name: one.value for one in asked if one.name is not None}
    return {**world.answers, **new} if new else world.answers


def _alone(world: World, lone: str, transition: Transition) -> Transition:
    """What the reduction rests on: that a lone step's moves touch no other step."""
    before, after = world.saga.steps, transition.world.saga.steps
    touched = [place for place, step in after.items() if place != lone and before.get(place) is not step]
    if transition.violation is not None or not touched:
        return transition
    what = f"{transition.move.told}, and {', '.join(touched)} changed with it"
    return replace(transition, violation=Violation("independent steps are independent", what))
