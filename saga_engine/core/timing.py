"""When something follows: back-off, when a command is sent again, when a saga must be looked at next.

Pure arithmetic on microseconds. Jitter is drawn from the command's identity, so that a replay gives the same times.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import Final
from uuid import UUID

from saga_engine.core.events import CommandIssued, Direction, Event, StepFailed, StepSucceeded
from saga_engine.core.plan import Node, Plan
from saga_engine.core.state import CompensationStatus, Phase, Progress, SagaState, StepState, StepStatus, address
from saga_engine.definition.model import Jitter, Kind, Retry, Timeout
from saga_engine.immutable import dataclass

LONGEST_REPLY_WAIT: Final = 5 * 60 * 1_000_000
"""Silence is asked about at growing intervals, up to five minutes."""


_MUCH: Final = 8
"""Commands and times in flight, up to which it costs nothing to look at all of them."""

_LOCAL: Final = (CommandIssued, StepSucceeded, StepFailed)
"""Events that change what falls due at their own place only."""


# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_FORWARD: Final = Phase.FORWARD
_ISSUED: Final = StepStatus.ISSUED
_COMPENSATION_ISSUED: Final = CompensationStatus.ISSUED
_RETRIABLE: Final = Kind.RETRIABLE
_READ_ONLY: Final = Kind.READ_ONLY


def backoff(retry: Retry, failed: int, seed: str) -> int:
    """How long to wait after the `failed`-th failed attempt (from 1): exponential, capped, with jitter.

    Full jitter as in Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015): uniform over zero to the
    computed delay, here drawn from a hash of `seed`.
    """
    exponent = min(failed - 1, 64)
    delay = min(float(retry.maximum_interval_us), retry.initial_interval_us * retry.backoff_coefficient**exponent)
    if retry.jitter is Jitter.FULL:
        delay *= zlib.crc32(f"{seed}/{failed}".encode()) / 0xFFFF_FFFF
    return int(delay)


def budget_left(retry: Retry, progress: Progress, code: str) -> bool:
    """Whether the policy allows another attempt after this failure."""
    if code in retry.non_retryable_errors:
        return False
    return retry.maximum_attempts is None or progress.attempt - progress.spent < retry.maximum_attempts


def retry_time(saga_id: UUID, place: str, retry: Retry, progress: Progress, at: int) -> int:
    """When the next attempt is issued."""
    return at + backoff(retry, progress.attempt - progress.spent, f"{saga_id}/{place}")


def must_succeed(plan: Plan, state: SagaState, node: Node) -> bool:
    """Whether a forward command is tried without bound, a rejection counting as a failure.

    Retriable steps are, and read-only ones past the point of no return.
    """
    kind = None if node.call is None else node.call.kind
    return kind is _RETRIABLE or (kind is _READ_ONLY and plan.past_no_return(state))


def may_give_up(plan: Plan, state: SagaState, node: Node) -> bool:
    """Whether a forward command may end with its outcome unknown. Never for a pivot or what must succeed."""
    call = node.call
    return call is not None and call.kind is not Kind.PIVOT and not must_succeed(plan, state, node)


def reply_waits(reply_us: int, issued_at: int) -> Iterator[int]:
    """The times at which an unanswered attempt is sent again: the reply time-out, then doubling up to five minutes."""
    wait, time = reply_us, issued_at
    while True:
        time += wait
        yield time
        wait = max(reply_us, min(wait * 2, LONGEST_REPLY_WAIT))


def next_send(reply_us: int, issued_at: int, now: int) -> int:
    """The first time after `now` at which an unanswered attempt is sent again."""
    first = issued_at + reply_us
    if first > now:
        return first
    if now - issued_at > 20 * LONGEST_REPLY_WAIT:
        step = max(reply_us, LONGEST_REPLY_WAIT)
        return now + step - (now - issued_at) % step
    return next(time for time in reply_waits(reply_us, issued_at) if time > now)


def send_is_due(reply_us: int, issued_at: int, since: int, now: int) -> bool:
    """Whether a time to send again lies at or after `since` and not after `now`."""
    return next_send(reply_us, issued_at, max(since - 1, issued_at)) <= now


@dataclass(frozen=True, slots=True)
class OpenCommand:
    """A command that is out and unanswered."""

    place: str
    node: Node
    step: StepState
    progress: Progress
    timeout: Timeout
    direction: Direction


def open_commands(plan: Plan, state: SagaState) -> Iterator[OpenCommand]:
    """Every command that is out and unanswered.

    Forward commands are not sent again once compensation began; nothing is sent while the saga is suspended.
    """
    for place in state.active:
        out = open_command(plan, state, place)
        if out is not None:
            yield out


def open_command(plan: Plan, state: SagaState, place: str) -> OpenCommand | None:
    """The command at one place, if it is out and unanswered. See `open_commands`."""
    step, node = state.steps[place], plan.at(place)
    call = node.call
    if call is None or state.suspended:
        return None
    if step.undo is _COMPENSATION_ISSUED and step.backward is not None and call.compensation is not None:
        return OpenCommand(place, node, step, step.backward, call.compensation.timeout, Direction.COMPENSATE)
    if step.status is _ISSUED and step.forward is not None and state.phase is _FORWARD:
        return OpenCommand(place, node, step, step.forward, call.timeout, Direction.FORWARD)
    return None


class Follows(Enum):
    """What a time brings at a step."""

    TIMER = "timer"
    """A `sleep` or `wait` is over, or a command of unknown outcome cannot run any more."""
    GIVING_UP = "giving up"
    """A command that is out is waited for no longer."""
    ATTEMPT = "attempt"
    """The back-off is over: the next attempt is issued."""


def falls_due(plan: Plan, state: SagaState, node: Node, step: StepState) -> tuple[tuple[int, Follows], ...]:
    """What time alone will bring at one step that is waited for, in the order in which it is looked at.

    The one source for what is due, for when it is, and for what is shown of it.
    """
    if step.due is not None:
        return ((step.due, Follows.TIMER),)
    call = node.call
    if call is None:
        return ()
    if step.undo is not None:
        compensation = call.compensation
        if compensation is None or step.backward is None or not step.undo.in_flight:
            return ()
        return _limits(step.backward, compensation.timeout.total_us)
    if step.forward is None or not step.status.in_flight:
        return ()
    if state.compensation_began_at is not None:
        return ((state.compensation_began_at + call.timeout.reply_us, Follows.GIVING_UP),)
    total = call.timeout.total_us
    return _limits(step.forward, total if total is not None and may_give_up(plan, state, node) else None)


def _limits(progress: Progress, total: int | None) -> tuple[tuple[int, Follows], ...]:
    times = () if total is None else ((progress.since + total, Follows.GIVING_UP),)
    return times if progress.retry_at is None else (*times, (progress.retry_at, Follows.ATTEMPT))


def next_due(plan: Plan, state: SagaState, now: int) -> int | None:
    """When somebody must look at the saga again if nothing arrives before; None: never."""
    return due_at(plan, state, state.active, now)


def due_at(plan: Plan, state: SagaState, places: Iterable[str], now: int) -> int | None:
    """As `next_due`, as far as the saga itself and these of its active places go."""
    times: list[int] = []
    for limit in (_saga_limit(plan, state), late_from(plan, state, after=now)):
        if limit is not None:
            times.append(limit)
    if not state.suspended:
        for place in places:
            out = open_command(plan, state, place)
            if out is not None:
                times.append(next_send(out.timeout.reply_us, out.progress.at, now))
            for time, _ in falls_due(plan, state, plan.at(place), state.steps[place]):
                times.append(time)
    return min(times, default=None)


def due_after(plan: Plan, state: SagaState, events: Sequence[Event], before: int | None, now: int) -> int | None:
    """As `next_due`, after `events`, for a saga that was to be looked at at the time `before`.

    Of a saga with much in flight only the places of the events are looked at, or each item of a long list would cost as
    much as all that are out. The time may then be too early, when somebody looks again; it is never too late.
    """
    narrow = before is None or before <= now or len(state.active) <= _MUCH
    if narrow or before is None or not all(isinstance(event, _LOCAL) for event in events):
        return next_due(plan, state, now)
    touched = {address(event.step, event.item) for event in events if isinstance(event, _LOCAL)}
    due = due_at(plan, state, touched & state.active.keys(), now)
    return before if due is None else min(before, due)


def late_from(plan: Plan, state: SagaState, after: int = 0) -> int | None:
    """From when on an open saga is over its `sla`, which only warns; None: it has none, has ended, or not `after`."""
    sla = plan.definition.sla_us
    if sla is None or state.phase is Phase.ENDED or state.started_at + sla <= after:
        return None
    return state.started_at + sla


def _saga_limit(plan: Plan, state: SagaState) -> int | None:
    timeout = plan.definition.timeout_us
    if timeout is None or state.phase is not _FORWARD or plan.past_no_return(state):
        return None
    return state.started_at + timeout


def quiet_from(state: SagaState, step: StepState, call_timeout: Timeout) -> int:
    """From when on no worker may still run a forward command of unknown outcome: the deadline of its last send."""
    last = step.ended_at if state.compensation_began_at is None else min(step.ended_at, state.compensation_began_at)
    return last + call_timeout.reply_us
