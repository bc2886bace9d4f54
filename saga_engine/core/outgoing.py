"""What committed events send out: commands to participants, domain events to the world.

Pure: derived from the events and the state after them, so that a replay derives the same. Knows no subject or header.
"""

from __future__ import annotations

from typing import TypeAlias

from saga_engine.core.events import (
    CommandIssued,
    Direction,
    Effect,
    Event,
    Resumed,
    SagaClosed,
    SagaCompensated,
    SagaCompleted,
    StepCompensated,
    StepSucceeded,
)
from saga_engine.core.plan import Node, Plan, compensation_of
from saga_engine.core.scope import failure_view, result_of
from saga_engine.core.state import SagaState, StepStatus, address
from saga_engine.definition.model import Call, Emit, ExpressionFailed, Json, Wait
from saga_engine.immutable import dataclass


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
    """A domain event to publish, of what happened `at`. `subject` None: the engine's own subject for it."""

    version: int
    at: int
    name: str
    subject: str | None
    data: Json


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The saga was resumed: everything open is asked again, since nothing was sent while it was suspended."""

    version: int


Outgoing: TypeAlias = SendCommand | PublishEvent | AskAgain


def outgoing(plan: Plan, state: SagaState, event: Event) -> Outgoing | None:
    """What one event sends out. `state` is the state right after it, so that its version is the event's."""
    match event:
        case CommandIssued():
            return SendCommand(state.version, event.step, event.item, event.direction, event.attempt)
        case StepSucceeded() if event.item is None and state.steps[event.step].status is StepStatus.SUCCEEDED:
            action = plan.nodes[event.step].action
            emit = action.emit if isinstance(action, Call | Wait) else None
            data = result_of(state, event.step, state.steps[event.step])
            return _publish(plan, state, event.at, emit, data, plan.nodes[event.step], None)
        case StepCompensated() if event.effect is Effect.UNDONE:
            node = plan.nodes[event.step]
            compensation = compensation_of(node)
            emit = None if compensation is None else compensation.emit
            forward = state.steps[address(event.step, event.item)].forward
            data = None if forward is None else forward.payload
            return _publish(plan, state, event.at, emit, data, node, event.item)
        case SagaCompleted():
            return _publish(plan, state, event.at, plan.definition.emit.completed, event.output, None, None)
        case SagaCompensated():
            return _publish(plan, state, event.at, plan.definition.emit.compensated, failure_view(state), None, None)
        case SagaClosed():
            return _publish(plan, state, event.at, plan.definition.emit.closed, failure_view(state), None, None)
        case Resumed():
            return AskAgain(state.version)
        case _:
            return None


def _publish(
    plan: Plan, state: SagaState, at: int, emit: Emit | None, data: Json, node: Node | None, item: int | None
) -> PublishEvent | None:
    """An event of a step (`node`), of one item of it, or of the saga itself.

    One whose own `data` has no value is published with the reason instead: its subscribers must not wait.
    """
    if emit is None:
        return None
    if emit.data is not None:
        value = plan.evaluate_top(state, emit.data) if node is None else plan.evaluate(state, node, emit.data, item)
        data = {"error": value.message} if isinstance(value, ExpressionFailed) else value
    return PublishEvent(state.version, at, emit.event, emit.subject, data)
