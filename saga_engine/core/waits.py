"""What a saga waits for, told from its state: answers, further attempts, times, signals, a person.

Pure, times in microseconds of the store. Owns no wording and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.core.events import Direction
from saga_engine.core.plan import Node, Plan, compensation_of
from saga_engine.core.state import Progress, SagaState, StepState, StepStatus, UndoStatus, split
from saga_engine.core.timing import may_give_up, next_send
from saga_engine.definition.model import Call


@dataclass(frozen=True, slots=True)
class AwaitedReply:
    """A command that is out. `since`: when its attempt was issued; `next_send`: when it is sent again if no reply

    comes (None: not any more, or not while the saga is suspended); `until`: when it is given up (None: never).
    """

    step: str
    item: int | None
    direction: Direction
    participant: str
    command: str
    attempt: int
    since: int
    next_send: int | None
    until: int | None


@dataclass(frozen=True, slots=True)
class AwaitedAttempt:
    """An attempt failed, as `code` and `message` say; attempt `attempt` follows at `until`."""

    step: str
    item: int | None
    direction: Direction
    attempt: int
    until: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AwaitedTime:
    """A `sleep`, or the time until a step of unknown outcome cannot run any more."""

    step: str
    item: int | None
    until: int


@dataclass(frozen=True, slots=True)
class AwaitedSignal:
    """A `wait`. `until` None: without a time limit."""

    step: str
    event: str
    until: int | None


@dataclass(frozen=True, slots=True)
class AwaitedOperator:
    """A step that is blocked, and its last error: `retry`, `skip` or `resolve` it."""

    step: str
    item: int | None
    direction: Direction
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AwaitedResume:
    """The saga is suspended: nothing is sent and no time falls due until it is resumed."""


Awaited: TypeAlias = AwaitedReply | AwaitedAttempt | AwaitedTime | AwaitedSignal | AwaitedOperator | AwaitedResume


def waits_for(plan: Plan, state: SagaState, now: int) -> tuple[Awaited, ...]:
    """Everything that a saga waits for: what a person must do first, then the rest in the order in which it began."""
    found: list[Awaited] = [AwaitedResume()] if state.suspended else []
    found += blocked_steps(state)
    for place in state.active:
        found += _at(plan, state, place, state.steps[place], now)
    return tuple(found)


def blocked_steps(state: SagaState) -> tuple[AwaitedOperator, ...]:
    """The steps that need an operator."""
    return tuple(_blocked(place, state.steps[place]) for place in state.blocked)


def _blocked(place: str, step: StepState) -> AwaitedOperator:
    name, item = split(place)
    direction = Direction.COMPENSATE if step.undo is UndoStatus.BLOCKED else Direction.FORWARD
    return AwaitedOperator(name, item, direction, step.code, step.message)


def _at(plan: Plan, state: SagaState, place: str, step: StepState, now: int) -> Iterator[Awaited]:
    name, item = split(place)
    node = plan.nodes[name]
    undo = compensation_of(node)
    if undo is not None and step.undo is not None and step.undo.in_flight and step.backward is not None:
        limit = undo.timeout.total_us
        until = None if limit is None else step.backward.since + limit
        how = (undo.participant, undo.command)
        sends = None if state.suspended else next_send(undo.timeout.reply_us, step.backward.at, now)
        yield _asked(name, item, Direction.COMPENSATE, how, step, step.backward, sends, until)
    elif node.call is not None and step.status.in_flight and step.forward is not None:
        how = (node.call.participant, node.call.command)
        quiet = state.suspended or state.compensation_began_at is not None
        sends = None if quiet else next_send(node.call.timeout.reply_us, step.forward.at, now)
        until = _forward_limit(plan, state, node, node.call, step.forward)
        yield _asked(name, item, Direction.FORWARD, how, step, step.forward, sends, until)
    elif step.status is StepStatus.WAITING and step.event is not None:
        yield AwaitedSignal(name, step.event, step.due)
    elif step.due is not None:
        yield AwaitedTime(name, item, step.due)


def _asked(
    step: str,
    item: int | None,
    direction: Direction,
    how: tuple[str, str],
    known: StepState,
    progress: Progress,
    sends: int | None,
    until: int | None,
) -> AwaitedReply | AwaitedAttempt:
    """A command that is out, or, after a failure, the attempt that follows."""
    if progress.retry_at is not None:
        return AwaitedAttempt(step, item, direction, progress.attempt + 1, progress.retry_at, known.code, known.message)
    return AwaitedReply(step, item, direction, *how, progress.attempt, progress.at, sends, until)


def _forward_limit(plan: Plan, state: SagaState, node: Node, call: Call, progress: Progress) -> int | None:
    if state.compensation_began_at is not None:
        return state.compensation_began_at + call.timeout.reply_us
    if call.timeout.total_us is None or not may_give_up(plan, state, node):
        return None
    return progress.since + call.timeout.total_us
