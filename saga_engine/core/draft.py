"""A decision in the making: the events decided so far, the state they lead to, and what they send out.

Mutable, but never outlives the one call of `decide` that made it.
"""

from __future__ import annotations

from saga_engine.core.events import CompensationBegan, Event
from saga_engine.core.evolve import evolve
from saga_engine.core.outgoing import Outgoing, outgoing
from saga_engine.core.plan import Node, Plan
from saga_engine.core.state import Phase, SagaState


class Draft:
    """Collects events over a state. `at` is the time of the input."""

    __slots__ = ("at", "events", "outgoing", "plan", "state")

    def __init__(self, plan: Plan, state: SagaState, at: int) -> None:
        self.plan = plan
        self.state = state
        self.at = at
        self.events: list[Event] = []
        self.outgoing: list[Outgoing] = []

    def add(self, event: Event) -> None:
        """Decide one more event; later decisions see its effect."""
        self.events.append(event)
        self.state = evolve(self.state, event)
        sent = outgoing(self.plan, self.state, event)
        if sent is not None:
            self.outgoing.append(sent)

    def node(self, step: str) -> Node:
        return self.plan.nodes[step]

    def begin_compensation(self, step: str | None, code: str, message: str) -> None:
        """The saga cannot go forward. What may fail is never open past the point of no return (the loader's rules)."""
        if self.state.phase is Phase.FORWARD:
            self.add(CompensationBegan(self.at, step, code, message))
