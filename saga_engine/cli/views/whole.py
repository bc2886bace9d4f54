"""One saga as it is shown whole: how it is, what it waits for, its steps, what happened.

Owns the order of these parts. Each part is worded by a module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from saga_engine.cli.output import Part
from saga_engine.cli.views.hearing import heard
from saga_engine.cli.views.saga import failure_lines, next_line, saga_heading
from saga_engine.cli.views.steps import steps_lines
from saga_engine.cli.views.timeline import timeline
from saga_engine.cli.views.waits import awaited_lines, waits_lines
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, StepStatus, split
from saga_engine.core.waits import AwaitedOperator, waits_for
from saga_engine.definition.model import Kind

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import SagaView


def state_lines(view: SagaView, now: int, *, bars: bool) -> list[list[Part]]:
    """How the saga is: heading, what it waits for and what can be done about it, its steps."""
    return [
        *saga_heading(view.state, now, view.plan.definition.input_schema),
        *waits_lines(waits_for(view.plan, view.state, now), view.plan, view.state, now, heard(view.plan)),
        [],
        *steps_lines(view.plan, view.state, view.events, now, bars=bars),
    ]


def stopped_lines(plan: Plan, state: SagaState, now: int) -> list[list[Part]]:
    """Why a saga ended other than completed, or who is needed, in few words; and what shows the rest."""
    blocked = [one for one in waits_for(plan, state, now) if isinstance(one, AwaitedOperator)]
    return [*failure_lines(state), *awaited_lines(blocked, state, now), next_line(state)]


def happened_lines(view: SagaView, *, after: int = 0) -> list[list[Part]]:
    """What happened to it, from the event behind version `after` on; aligned for all that may still happen."""
    emitted = {version: event.name for version, event in view.emitted.items()}
    width = max(map(len, ("saga", *view.plan.nodes)))
    return timeline(view.events, emitted, after=after, width=width, unknown=tuple(_unknown(view)))


def _unknown(view: SagaView) -> Iterator[str]:
    """What was given up, and has no compensation that would have settled whether there was something to undo."""
    for place, step in view.state.steps.items():
        call = view.plan.nodes[split(place)[0]].call
        effect = call is not None and call.kind is not Kind.READ_ONLY
        if effect and step.status is StepStatus.UNKNOWN and step.undo is None:
            yield place


def saga_lines(view: SagaView, now: int, *, bars: bool) -> list[list[Part]]:
    """Everything. `bars`: pictures may be drawn, as on a terminal."""
    return [*state_lines(view, now, bars=bars), [], *happened_lines(view)]
