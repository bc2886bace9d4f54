"""How an event changes one step of a saga, or one item of it: the arms of `evolve` that are about a step.

Every function gives the state one version on. Knows events only, never the definition.
"""

from __future__ import annotations

from typing import Final

from saga_engine.core import events as e
from saga_engine.core.events import Direction, Effect, Verb
from saga_engine.core.layers import with_entries
from saga_engine.core.state import (
    CompensationStatus,
    Progress,
    SagaState,
    StepState,
    StepStatus,
    address,
    split,
)
from saga_engine.immutable import replace

# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_COMPENSATE: Final = Direction.COMPENSATE
_ISSUED: Final = StepStatus.ISSUED
_SUCCEEDED: Final = StepStatus.SUCCEEDED
_TIMED_OUT: Final = StepStatus.TIMED_OUT
_WAITING: Final = StepStatus.WAITING


def issued(state: SagaState, event: e.CommandIssued) -> SagaState:
    """An attempt, forward or back."""
    place = address(event.step, event.item)
    known = state.steps.get(place)
    if event.direction is _COMPENSATE:
        if known is None:
            raise ValueError(f"{place} is compensated without ever having been issued")
        backward = _progress(known.backward, event)
        return _with(state, place, replace(known, undo=CompensationStatus.ISSUED, backward=backward, due=None))
    if known is None or known.forward is None:
        step = StepState(_ISSUED, forward=_progress(None, event), opened_at=event.at)
        counted = _counted(state, event.step, event.item, issued=1) if known is None else None
        return _with(state, place, step, counted=counted)
    return _with(state, place, replace(known, status=_ISSUED, forward=_progress(known.forward, event)))


def _progress(before: Progress | None, event: e.CommandIssued) -> Progress:
    if before is None:
        return Progress(event.at, event.attempt, event.at, event.payload, since=event.at)
    return replace(before, attempt=event.attempt, at=event.at, retry_at=None)


def succeeded(state: SagaState, event: e.StepSucceeded) -> SagaState:
    """A reply, the end of a wait, or all items of a `for_each` step through."""
    place = address(event.step, event.item)
    known = state.steps[place]
    if known.status is _TIMED_OUT:
        return _with(state, place, known, closed=1)
    if known.status is _WAITING:
        state = _take_signal(state, known.event)
    step = replace(
        known,
        status=_SUCCEEDED,
        result=event.result,
        fenced=event.fenced,
        ended_at=event.at,
        due=None,
    )
    if event.item is None:
        return _with(state, place, step, closed=1)
    return _with(state, place, step, counted=_counted(state, event.step, event.item, succeeded=1))


def _take_signal(state: SagaState, name: str | None) -> SagaState:
    taken = [signal.name for signal in state.signals].index(name or "")
    return replace(state, signals=state.signals[:taken] + state.signals[taken + 1 :])


def rejected(state: SagaState, event: e.StepRejected) -> SagaState:
    """Definitely without effect; also a step, or an item, that never had a command to issue."""
    place = address(event.step, event.item)
    first = state.steps.get(place) is None
    known = StepState(StepStatus.REJECTED, opened_at=event.at) if first else state.steps[place]
    step = replace(
        known,
        status=StepStatus.REJECTED,
        code=event.code,
        message=event.message,
        fenced=event.fenced,
        ended_at=event.at,
        due=None,
    )
    counted = _counted(state, event.step, event.item, issued=1 if first else 0, failed=1)
    return _with(state, place, step, counted=counted)


def failed(state: SagaState, event: e.StepFailed) -> SagaState:
    """An attempt that may have had an effect; the last one leaves the outcome unknown."""
    place = address(event.step, event.item)
    known = state.steps[place]
    final = event.retry_at is None
    step = replace(
        known,
        status=StepStatus.UNKNOWN if final else StepStatus.RETRYING,
        forward=None if known.forward is None else replace(known.forward, retry_at=event.retry_at),
        code=event.code,
        message=event.message,
        fenced=event.fenced,
        ended_at=event.at if final else 0,
    )
    counted = _counted(state, event.step, event.item, failed=1) if final else None
    return _with(state, place, step, counted=counted)


def given_up(state: SagaState, event: e.StepGivenUp) -> SagaState:
    """Silence for too long: the outcome stays unknown."""
    place = address(event.step, event.item)
    known = state.steps[place]
    step = replace(known, status=StepStatus.UNKNOWN, code=event.code, message=event.message, ended_at=event.at)
    return _with(state, place, step, counted=_counted(state, event.step, event.item, failed=1))


def skipped(state: SagaState, event: e.StepSkipped) -> SagaState:
    """A condition that did not hold, or an operator: closed, without a result."""
    return _with(state, event.step, StepState(StepStatus.SKIPPED, ended_at=event.at), closed=1)


def items_fixed(state: SagaState, event: e.ItemsFixed) -> SagaState:
    """A `for_each` step opens; its items are steps of their own, under `step/<i>`."""
    return _with(state, event.step, StepState(StepStatus.OPEN, opened_at=event.at, items=event.items))


def timer_set(state: SagaState, event: e.TimerSet) -> SagaState:
    """A `sleep` or `wait` opens; or a step of unknown outcome waits until it cannot run any more."""
    place = address(event.step, event.item)
    known = state.steps.get(place)
    if known is not None and known.status is not StepStatus.BLOCKED:
        return _with(state, place, replace(known, due=event.due))
    status = StepStatus.SLEEPING if event.event is None else _WAITING
    return _with(state, place, StepState(status, opened_at=event.at, due=event.due, event=event.event))


def timer_fired(state: SagaState, event: e.TimerFired) -> SagaState:
    """A `sleep` is over; a `wait` has run out of time, and the next event says what that means."""
    place = address(event.step, event.item)
    known = state.steps[place]
    if known.status is StepStatus.SLEEPING:
        step = replace(known, status=_SUCCEEDED, ended_at=event.at, due=None)
        return _with(state, place, step, closed=1)
    if known.status is _WAITING:
        return _with(state, place, replace(known, status=_TIMED_OUT, ended_at=event.at, due=None))
    return _with(state, place, replace(known, due=None))


def compensated(state: SagaState, event: e.StepCompensated) -> SagaState:
    """Undone, or nothing found to undo."""
    status = CompensationStatus.UNDONE if event.effect is Effect.UNDONE else CompensationStatus.NOTHING
    return _with_compensation(state, address(event.step, event.item), status)


def compensation_failed(state: SagaState, event: e.CompensationFailed) -> SagaState:
    """An attempt at a compensation; after the last one the effect stands, unless StepBlocked follows."""
    place = address(event.step, event.item)
    known = state.steps[place]
    step = replace(
        known,
        undo=CompensationStatus.EXHAUSTED if event.retry_at is None else CompensationStatus.RETRYING,
        backward=None if known.backward is None else replace(known.backward, retry_at=event.retry_at),
        code=event.code,
        message=event.message,
    )
    return _with(state, place, step)


def blocked(state: SagaState, event: e.StepBlocked) -> SagaState:
    """A compensation that is exhausted, or a forward step past the point of no return that cannot go on."""
    place = address(event.step, event.item)
    known = state.steps.get(place)
    if known is not None and known.may_have_effect:
        step = replace(known, undo=CompensationStatus.BLOCKED, code=event.code, message=event.message)
    elif known is not None and known.forward is not None:
        asked = replace(known.forward, retry_at=None)
        step = replace(known, status=StepStatus.BLOCKED, forward=asked, code=event.code, message=event.message)
    else:
        step = StepState(StepStatus.BLOCKED, code=event.code, message=event.message, opened_at=event.at)
    counted = _counted(state, event.step, event.item, issued=1) if known is None else None
    return _with(state, place, step, counted=counted)


def operator_acted(state: SagaState, event: e.OperatorActed) -> SagaState:
    """A retry opens the budgets anew; what a skip or resolve of a forward step means, the next event says."""
    place = address(event.step, event.item)
    known = state.steps[place]
    if event.verb is Verb.RETRY:
        progress = known.backward
        if progress is not None:
            known = replace(known, backward=replace(progress, spent=progress.attempt, since=event.at))
        return _with(state, place, known)
    if known.status is StepStatus.BLOCKED:
        return _with(state, place, known)
    done = CompensationStatus.SKIPPED if event.verb is Verb.SKIP else CompensationStatus.RESOLVED
    return _with_compensation(state, place, done)


def _with_compensation(state: SagaState, place: str, status: CompensationStatus) -> SagaState:
    return _with(state, place, replace(state.steps[place], undo=status))


def _with(
    state: SagaState, place: str, step: StepState, *, closed: int = 0, counted: StepState | None = None
) -> SagaState:
    """One more version, in which `place` is `step`. `counted`: of an item, its step as a whole, which counts it."""
    changed = {place: step} if counted is None else {place: step, split(place)[0]: counted}
    active = state.active
    if step.waits:
        if place not in active:
            active = {**active, place: None}
    elif place in active:
        active = dict(active)
        del active[place]
    blocked = state.blocked
    if step.needs_operator:
        if place not in blocked:
            blocked = (*blocked, place)
    elif place in blocked:
        blocked = tuple(name for name in blocked if name != place)
    return replace(
        state,
        version=state.version + 1,
        steps=with_entries(state.steps, changed),
        active=active,
        blocked=blocked,
        closed=state.closed + closed,
    )


def _counted(
    state: SagaState, step: str, item: int | None, *, issued: int = 0, succeeded: int = 0, failed: int = 0
) -> StepState | None:
    """The step of an item, with that item counted; None where there is no item."""
    if item is None:
        return None
    known = state.steps[step]
    return replace(
        known,
        items_issued=known.items_issued + issued,
        items_succeeded=known.items_succeeded + succeeded,
        items_failed=known.items_failed + failed,
    )
