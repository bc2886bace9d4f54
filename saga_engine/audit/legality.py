"""Which event is legal in which state: the strict side of `evolve`, which folds whatever a stream holds.

Owns these rules, one function for each kind of event. Written from the meaning of the events, not from the decider.
"""

from __future__ import annotations

from typing import TypeAlias

from saga_engine.core import events as e
from saga_engine.core.events import Direction, Event
from saga_engine.core.plan import Plan
from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState, StepStatus, address

StepEvent: TypeAlias = (
    e.CommandIssued
    | e.StepSucceeded
    | e.StepRejected
    | e.StepFailed
    | e.StepGivenUp
    | e.StepSkipped
    | e.ItemsFixed
    | e.TimerSet
    | e.TimerFired
    | e.StepCompensated
    | e.CompensationFailed
    | e.StepBlocked
    | e.OperatorActed
)
"""What happens at one step, or at one item of it."""


def objection(plan: Plan | None, state: SagaState, event: Event) -> str | None:
    """Why an event cannot have happened to a saga in this state; None: it can."""
    if isinstance(event, e.SagaStarted):
        return None if state.phase is Phase.NEW else "the saga has started already"
    if state.phase is Phase.NEW:
        return "the saga has not started"
    if state.phase is Phase.ENDED:
        return f"the saga is {state.status} already"
    match event:
        case e.SignalReceived():
            return _signal(state, event)
        case e.CompensationBegan():
            return _began(state)
        case e.Suspended():
            return _suspended(state)
        case e.Resumed():
            return _resumed(state)
        case e.CancelRequested():
            return _cancel(state)
        case e.SagaCompleted():
            return _completed(state)
        case e.SagaCompensated():
            return _ended_compensated(state)
        case e.SagaClosed():
            return _ended_closed(state)
        case _:
            if plan is not None and event.step not in plan.nodes:
                return f"its definition has no step {event.step}"
            return _at_step(state, event)


def _at_step(state: SagaState, event: StepEvent) -> str | None:
    match event:
        case e.CommandIssued():
            return _issued(state, event)
        case e.StepSucceeded():
            return _succeeded(state, event)
        case e.StepRejected():
            return _rejected(state, event)
        case e.StepFailed():
            return _failed(state, event)
        case e.StepGivenUp():
            return _given_up(state, event)
        case e.StepSkipped():
            return _skipped(state, event)
        case e.ItemsFixed():
            return _fixed(state, event)
        case e.TimerSet():
            return _timer_set(state, event)
        case e.TimerFired():
            return _timer_fired(state, event)
        case e.StepCompensated():
            return _compensated(state, event)
        case e.CompensationFailed():
            return _compensation_failed(state, event)
        case e.StepBlocked():
            return _blocked(state, event)
        case _:
            return _acted(state, event)


def _step(state: SagaState, step: str, item: int | None = None) -> StepState | None:
    return state.steps.get(address(step, item))


def _new_item(state: SagaState, step: str, item: int | None) -> str | None:
    """Why an item cannot be opened now; nothing stands against a step as a whole."""
    if item is None:
        return None
    whole = state.steps.get(step)
    if whole is None or whole.items is None or whole.status is not StepStatus.OPEN:
        return "the items of the step were never fixed, or it is closed"
    return None if item < len(whole.items) else f"the step has only {len(whole.items)} items"


def _opens(state: SagaState, known: StepState | None) -> str | None:
    """Why a step cannot be opened now."""
    if state.phase is not Phase.FORWARD:
        return "the saga is being compensated"
    if state.suspended:
        return "the saga is suspended"
    return None if known is None or known.status is StepStatus.BLOCKED else f"the step is {known.status} already"


def _issued(state: SagaState, event: e.CommandIssued) -> str | None:
    known = _step(state, event.step, event.item)
    if event.direction is Direction.COMPENSATE:
        return _compensation_issued(state, event, known)
    if event.attempt == 1 and (known is None or known.forward is None):
        return _new_item(state, event.step, event.item) or _opens(state, known)
    if state.suspended or state.phase is not Phase.FORWARD:
        return "the saga is suspended or being compensated"
    if known is None or known.forward is None or known.status not in (StepStatus.RETRYING, StepStatus.BLOCKED):
        return "no attempt of it has failed"
    before = known.forward.attempt
    return None if event.attempt == before + 1 else f"the attempt before was {before}"


def _compensation_issued(state: SagaState, event: e.CommandIssued, known: StepState | None) -> str | None:
    if state.suspended:
        return "the saga is suspended"
    if state.phase is not Phase.COMPENSATING and event.item is None:
        return "compensation has not begun"
    if known is None or known.forward is None or not known.may_have_effect:
        return "the step was never issued, or is known to be without effect, or is still waited for"
    before = 0 if known.backward is None else known.backward.attempt
    if event.attempt != before + 1:
        return f"the attempt before was {before}"
    allowed = (None if before == 0 else CompensationStatus.RETRYING, CompensationStatus.BLOCKED)
    return None if known.undo in allowed else f"its compensation is {known.undo}"


def _succeeded(state: SagaState, event: e.StepSucceeded) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None:
        return "the step was never opened"
    if known.status is StepStatus.WAITING:
        there = any(signal.name == known.event for signal in state.signals)
        return None if there else f"no signal {known.event} was received"
    if known.status is StepStatus.OPEN:
        through = known.items_succeeded + known.items_failed
        count = len(known.items or ())
        return None if through == count else f"{through} of its {count} items are through"
    if known.status in (StepStatus.TIMED_OUT, StepStatus.BLOCKED) or known.status.in_flight:
        return None
    return f"the step is {known.status}"


def _rejected(state: SagaState, event: e.StepRejected) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None:
        return _new_item(state, event.step, event.item) or _opens(state, known)
    ok = known.status.in_flight or known.status in (StepStatus.TIMED_OUT, StepStatus.BLOCKED)
    return None if ok else f"the step is {known.status}"


def _failed(state: SagaState, event: e.StepFailed) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None or known.forward is None or known.status is not StepStatus.ISSUED:
        return "no attempt of it is out"
    if event.attempt != known.forward.attempt:
        return f"attempt {known.forward.attempt} is out"
    return None if event.retry_at is None or event.retry_at >= event.at else "its next attempt lies in the past"


def _given_up(state: SagaState, event: e.StepGivenUp) -> str | None:
    known = _step(state, event.step, event.item)
    return None if known is not None and known.status.in_flight else "no command of it is out"


def _skipped(state: SagaState, event: e.StepSkipped) -> str | None:
    return _opens(state, _step(state, event.step))


def _fixed(state: SagaState, event: e.ItemsFixed) -> str | None:
    return _opens(state, _step(state, event.step))


def _timer_set(state: SagaState, event: e.TimerSet) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None or known.status is StepStatus.BLOCKED:
        return _opens(state, known)
    doubt = known.status is StepStatus.UNKNOWN and known.due is None and known.undo is None
    return None if doubt else f"the step is {known.status}"


def _timer_fired(state: SagaState, event: e.TimerFired) -> str | None:
    known = _step(state, event.step, event.item)
    if state.suspended:
        return "the saga is suspended"
    return None if known is not None and known.due is not None else "no timer is set there"


def _signal(state: SagaState, event: e.SignalReceived) -> str | None:
    return f"signal {event.signal_id} was received before" if event.signal_id in state.signal_ids else None


def _began(state: SagaState) -> str | None:
    return None if state.phase is Phase.FORWARD else "compensation has begun already"


def _compensated(state: SagaState, event: e.StepCompensated) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None or known.backward is None or known.undo is None:
        return "its compensation was never issued"
    open_ = not known.undo.settled or known.undo is CompensationStatus.EXHAUSTED
    return None if open_ else f"its compensation is {known.undo}"


def _compensation_failed(state: SagaState, event: e.CompensationFailed) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None or known.backward is None or known.undo is None or not known.undo.in_flight:
        return "no compensation of it is out"
    before = known.backward.attempt
    return None if event.attempt == before else f"attempt {before} is out"


def _blocked(state: SagaState, event: e.StepBlocked) -> str | None:
    known = _step(state, event.step, event.item)
    if known is None or known.status is StepStatus.BLOCKED:
        return _new_item(state, event.step, event.item) or _opens(state, known)
    if known.status is StepStatus.RETRYING:
        return None if state.phase is Phase.FORWARD else "the saga is being compensated"
    stopped = known.may_have_effect and known.undo in (None, CompensationStatus.EXHAUSTED, CompensationStatus.BLOCKED)
    return None if stopped else "neither its command nor its compensation has come to an end"


def _suspended(state: SagaState) -> str | None:
    return "the saga is suspended already" if state.suspended else None


def _resumed(state: SagaState) -> str | None:
    return None if state.suspended else "the saga is not suspended"


def _cancel(state: SagaState) -> str | None:
    return None if state.phase is Phase.FORWARD else "the saga is being compensated already"


def _acted(state: SagaState, event: e.OperatorActed) -> str | None:
    place = address(event.step, event.item)
    return None if place in state.blocked else f"{place} is not blocked"


def _completed(state: SagaState) -> str | None:
    if state.phase is not Phase.FORWARD or state.suspended:
        return "the saga is suspended or being compensated"
    return _at_end(state)


def _ended_compensated(state: SagaState) -> str | None:
    stands = [place for place, step in state.steps.items() if step.undo is not None and step.undo.effect_stands]
    if stands:
        return f"the effect of {', '.join(stands)} stands: that is closed, not compensated"
    return _turned_back(state)


def _ended_closed(state: SagaState) -> str | None:
    stands = any(step.undo is not None and step.undo.effect_stands for step in state.steps.values())
    return _turned_back(state) if stands else "nothing was left undone: that is compensated, not closed"


def _turned_back(state: SagaState) -> str | None:
    return _at_end(state) if state.phase is Phase.COMPENSATING else "compensation has not begun"


def _at_end(state: SagaState) -> str | None:
    left = [*state.active, *state.blocked]
    return f"{', '.join(left)} still waits" if left else None
