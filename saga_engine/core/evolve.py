"""`evolve`, which folds one event into a saga's state.

Knows events only, never the definition, so that a stream folds the same in every release. Owns what an event changes
of the saga as a whole; what it changes of a step is `steps`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from saga_engine.core import events as e
from saga_engine.core import steps
from saga_engine.core.events import Event
from saga_engine.core.state import Failure, PendingSignal, Phase, SagaState, Status, StepStatus
from saga_engine.definition.model import Json
from saga_engine.immutable import replace


def fold(state: SagaState, events: Iterable[Event]) -> SagaState:
    """Evolve over many events."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: SagaState, event: Event) -> SagaState:
    """The state after one more event. Pure, and stable over releases."""
    match event:
        case e.CommandIssued():
            return steps.issued(state, event)
        case e.StepSucceeded():
            return steps.succeeded(state, event)
        case e.SagaStarted():
            return _started(state, event)
        case e.SagaCompleted():
            return _ended(state, event.at, Status.COMPLETED, event.output)
        case e.StepRejected():
            return steps.rejected(state, event)
        case e.StepFailed():
            return steps.failed(state, event)
        case e.StepGivenUp():
            return steps.given_up(state, event)
        case e.StepSkipped():
            return steps.skipped(state, event)
        case e.ItemsFixed():
            return steps.items_fixed(state, event)
        case e.TimerSet():
            return steps.timer_set(state, event)
        case e.TimerFired():
            return steps.timer_fired(state, event)
        case e.SignalReceived():
            return _signal_received(state, event)
        case e.CompensationBegan():
            return _compensation_began(state, event)
        case e.StepCompensated():
            return steps.compensated(state, event)
        case e.CompensationFailed():
            return steps.compensation_failed(state, event)
        case e.StepBlocked():
            return steps.blocked(state, event)
        case e.Suspended():
            return replace(state, version=state.version + 1, suspended=True)
        case e.Resumed():
            return replace(state, version=state.version + 1, suspended=False)
        case e.CancelRequested():
            return replace(state, version=state.version + 1, cancel_requested=event.accepted)
        case e.OperatorActed():
            return steps.operator_acted(state, event)
        case e.SagaCompensated():
            return _ended(state, event.at, Status.COMPENSATED, None)
        case _:
            return _closed(state, event)


def _started(state: SagaState, event: e.SagaStarted) -> SagaState:
    return replace(
        state,
        phase=Phase.FORWARD,
        version=state.version + 1,
        saga=event.saga,
        definition_version=event.definition_version,
        definition_hash=event.definition_hash,
        key=event.key,
        generation=event.generation,
        input=event.input,
        traceparent=event.traceparent,
        started_at=event.at,
    )


def _signal_received(state: SagaState, event: e.SignalReceived) -> SagaState:
    return replace(
        state,
        version=state.version + 1,
        signals=(*state.signals, PendingSignal(event.signal_id, event.name, event.data)),
        signal_ids=state.signal_ids | {event.signal_id},
    )


def _compensation_began(state: SagaState, event: e.CompensationBegan) -> SagaState:
    """Timers of the forward phase and steps that could not be issued no longer count; what is out is still awaited."""
    return replace(
        state,
        version=state.version + 1,
        phase=Phase.COMPENSATING,
        compensation_began_at=event.at,
        failure=Failure(event.step, event.code, event.message),
        active={place: None for place in state.active if state.steps[place].forward is not None},
        blocked=tuple(place for place in state.blocked if state.steps[place].status is not StepStatus.BLOCKED),
    )


def _closed(state: SagaState, event: e.SagaClosed) -> SagaState:
    return _ended(state, event.at, Status.CLOSED, None)


def _ended(state: SagaState, at: int, status: Status, output: Json) -> SagaState:
    return replace(
        state,
        version=state.version + 1,
        phase=Phase.ENDED,
        ended_as=status,
        ended_at=at,
        output=output,
        active={},
        blocked=(),
        suspended=False,
    )
