"""One state of the explored system, and what may happen in it: values that the other modules make and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from saga_engine.core.events import Event
from saga_engine.core.inputs import Input
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, split
from saga_engine.definition.model import Call
from saga_engine.verify.participants import Slot

Fenced: TypeAlias = Callable[[str, str], bool]
"""Whether an inbox protects the handler of a participant's command."""

SAGA_ID: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class World:
    """The saga as the engine knows it, its commands as the participants have them, the conditions chosen so far.

    No time has passed in it: whatever was decided was decided at time zero (see `moves`).
    """

    saga: SagaState = field(default_factory=lambda: SagaState(SAGA_ID))
    slots: Mapping[str, Slot] = field(default_factory=dict)
    answers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """Something that may happen: an input for the decider, or (None) something at a participant only.

    `told`: how a person is told. `saga`: the state that the input meets, in which some time may have passed.
    `slots`: what it changes at the participants. `cost`: how many faults it is. `fair`: it happens in the end, if
    nothing else does: an answer to a command that is sent again and again, the end of a time, an operator's verb.
    `quiet`: commands the deadline of whose last send has passed with it.
    """

    told: str
    input: Input | None
    saga: SagaState
    slots: tuple[tuple[str, Slot], ...] = ()
    cost: int = 0
    fair: bool = False
    time: bool = False
    quiet: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What stays the same during one exploration."""

    plan: Plan
    fenced: Fenced
    _places: dict[str, tuple[str, int | None]] = field(default_factory=dict)

    def split(self, place: str) -> tuple[str, int | None]:
        """The step and the item of an address."""
        known = self._places.get(place)
        if known is None:
            known = self._places[place] = split(place)
        return known

    def new_slot(self, call: Call) -> Slot:
        """A command that has just been issued."""
        fenced = self.fenced(call.participant, call.command)
        compensation = call.compensation
        here = compensation is not None and compensation.participant == call.participant
        return Slot(protected=fenced and here, fenced=fenced)


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold. `rule`: its name; `what`: what went wrong, with the steps it happened to."""

    rule: str
    what: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of a counter-example: what happened, and the events that the engine decided on."""

    told: str
    events: tuple[Event, ...]
