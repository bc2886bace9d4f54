"""What a saga waits for, told from its state: answers, further attempts, times, signals, a person.

Pure, times in microseconds of the store. Owns no wording and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.core.events import Direction
from saga_engine.core.plan import Node, Plan
from saga_engine.core.state import CompensationStatus, SagaState, StepState, StepStatus, address, split
from saga_engine.core.timing import Follows, falls_due, next_send, open_command
from saga_engine.definition.model import Call, Compensation


@dataclass(frozen=True, slots=True)
class AwaitedReply:
    """A command that is out.

    `since`: when its attempt was issued; `next_send`: when it is sent again if no reply comes (None: not any more, or
    not while the saga is suspended); `until`: when it is given up (None: never).
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
    direction = Direction.COMPENSATE if step.undo is CompensationStatus.BLOCKED else Direction.FORWARD
    return AwaitedOperator(name, item, direction, step.code, step.message)


def _at(plan: Plan, state: SagaState, place: str, step: StepState, now: int) -> Iterator[Awaited]:
    name, item = split(place)
    node = plan.nodes[name]
    times = {what: at for at, what in falls_due(plan, state, node, step)}
    if step.status is StepStatus.WAITING and step.event is not None:
        yield AwaitedSignal(name, step.event, step.due)
    elif Follows.TIMER in times:
        yield AwaitedTime(name, item, times[Follows.TIMER])
    elif node.call is not None:
        yield from _command(plan, state, node, node.call, item, step, times, now)


def _command(
    plan: Plan,
    state: SagaState,
    node: Node,
    call: Call,
    item: int | None,
    step: StepState,
    times: Mapping[Follows, int],
    now: int,
) -> Iterator[AwaitedReply | AwaitedAttempt]:
    """A command that is out, or, after a failure, the attempt that follows."""
    how: Call | Compensation | None = call if step.undo is None else call.compensation
    direction, progress = (
        (Direction.FORWARD, step.forward) if step.undo is None else (Direction.COMPENSATE, step.backward)
    )
    if how is None or progress is None:
        return
    if progress.retry_at is not None:
        yield AwaitedAttempt(
            node.place, item, direction, progress.attempt + 1, progress.retry_at, step.code, step.message
        )
        return
    out = open_command(plan, state, address(node.place, item))
    sends = None if out is None else next_send(out.timeout.reply_us, progress.at, now)
    until = times.get(Follows.GIVING_UP)
    yield AwaitedReply(
        node.place, item, direction, how.participant, how.command, progress.attempt, progress.at, sends, until
    )
