"""What committed events send out: commands to participants, domain events to the world.

Pure: derived from the events and the state after them, so that a replay derives the same. Knows no subject or header.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.core.events import (
    CommandIssued,
    Direction,
    Effect,
    Event,
    SagaClosed,
    SagaCompensated,
    SagaCompleted,
    StepCompensated,
    StepSucceeded,
)
from saga_engine.core.plan import Plan, failure_view, result_of
from saga_engine.core.state import SagaState, address
from saga_engine.definition.model import Call, Emit, ExpressionFailed, Json, Wait


@dataclass(frozen=True, slots=True)
class SendCommand:
    """A command to send: which attempt at which place, in which direction."""

    version: int
    step: str
    item: int | None
    direction: Direction
    attempt: int


@dataclass(frozen=True, slots=True)
class PublishEvent:
    """A domain event to publish. `subject` None: the engine's own subject for it."""

    version: int
    name: str
    subject: str | None
    data: Json


Outgoing: TypeAlias = SendCommand | PublishEvent


def outgoing(plan: Plan, state: SagaState, event: Event) -> Outgoing | None:
    """What one event sends out. `state` is the state right after it, so that its version is the event's."""
    match event:
        case CommandIssued():
            return SendCommand(state.version, event.step, event.item, event.direction, event.attempt)
        case StepSucceeded() if event.item is None:
            action = plan.nodes[event.step].action
            emit = action.emit if isinstance(action, Call | Wait) else None
            return _publish(plan, state, emit, result_of(state, event.step, state.steps[event.step]), event.step)
        case StepCompensated() if event.effect is Effect.UNDONE:
            call = plan.nodes[event.step].call
            compensation = call.compensation if call is not None else None
            forward = state.steps[address(event.step, event.item)].forward
            data = forward.payload if forward is not None else None
            return _publish(plan, state, compensation.emit if compensation is not None else None, data, event.step)
        case SagaCompleted():
            return _publish(plan, state, plan.definition.emit.completed, event.output, None)
        case SagaCompensated():
            return _publish(plan, state, plan.definition.emit.compensated, failure_view(state), None)
        case SagaClosed():
            return _publish(plan, state, plan.definition.emit.closed, failure_view(state), None)
        case _:
            return None


def _publish(plan: Plan, state: SagaState, emit: Emit | None, data: Json, step: str | None) -> PublishEvent | None:
    """An event whose own `data` has no value is published with the reason instead: its subscribers must not wait."""
    if emit is None:
        return None
    if emit.data is not None:
        value = (
            plan.evaluate_top(state, emit.data) if step is None else plan.evaluate(state, plan.nodes[step], emit.data)
        )
        data = {"error": value.message} if isinstance(value, ExpressionFailed) else value
    return PublishEvent(state.version, emit.event, emit.subject, data)
