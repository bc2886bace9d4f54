"""A saga's state as a program reads it: status, steps, failure; and a saga as a row of a list.

Owns the shown status of a step. Knows no event: what happened is `history`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from saga_engine.core.forward import GAVE_UP
from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState, StepStatus
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead
from saga_engine.moments import rfc3339

_COMPENSATIONS: Final[Mapping[CompensationStatus, str]] = {
    CompensationStatus.ISSUED: "compensating",
    CompensationStatus.RETRYING: "compensating",
    CompensationStatus.UNDONE: "compensated",
    CompensationStatus.RESOLVED: "resolved",
    CompensationStatus.BLOCKED: "blocked",
    CompensationStatus.EXHAUSTED: "compensation_exhausted",
    CompensationStatus.SKIPPED: "compensation_skipped",
}
_BEGUN: Final = (StepStatus.OPEN, StepStatus.ISSUED)
_GOING_FORWARD: Final = (StepStatus.SLEEPING, StepStatus.WAITING, StepStatus.BLOCKED)
_OVER_ITEMS: Final = (
    "blocked",
    "compensating",
    "running",
    "retrying",
    "compensation_exhausted",
    "compensation_skipped",
    "resolved",
    "compensated",
    "unknown",
    "rejected",
    "without_effect",
    "given_up",
)
"""Once a saga compensates, a `for_each` step is as the first of these that one of its items is.

No event tells how the step as a whole ended.
"""


def saga_json(state: SagaState, steps: Sequence[str]) -> Mapping[str, Json]:
    """One saga. `steps`: the names of the definition's steps, in order, also those that have not begun."""
    failure = state.failure
    return {
        "id": str(state.saga_id),
        "saga": state.saga,
        "version": state.definition_version,
        "key": state.key,
        "status": str(state.status),
        "input": state.input,
        "steps": [_step_json(state, step) for step in steps],
        "failure": None
        if failure is None
        else {"step": failure.step, "code": failure.code, "message": failure.message},
        "started_at": rfc3339(state.started_at),
        "ended_at": None if state.ended_at is None else rfc3339(state.ended_at),
    }


def head_json(head: StreamHead) -> Mapping[str, Json]:
    """One row of a list."""
    return {
        "id": str(head.stream_id),
        "saga": head.saga,
        "version": head.definition_version,
        "key": head.key,
        "status": head.status,
        "started_at": rfc3339(head.started_at),
        "ended_at": None if head.ended_at is None else rfc3339(head.ended_at),
    }


def step_status(state: SagaState, step: str) -> str:
    """One word for a step: how far it is forward, or, once it is being undone, how far that is."""
    known = state.steps.get(step)
    if known is None:
        return "pending" if state.phase is Phase.FORWARD else "not_run"
    if known.items is not None and state.compensation_began_at is not None:
        return _status_over_items(state, step, known)
    if known.undo is not None and known.undo in _COMPENSATIONS:
        return _COMPENSATIONS[known.undo]
    if known.undo is CompensationStatus.NOTHING and known.status is not StepStatus.REJECTED:
        return "without_effect"
    if known.status is StepStatus.REJECTED and known.forward is None and known.code == GAVE_UP:
        return "out_of_time"
    if given_up(state, known):
        return "given_up"
    return "running" if known.status in _BEGUN else str(known.status)


def given_up(state: SagaState, step: StepState) -> bool:
    """Whether it slept, waited or was blocked on the way forward when compensation began.

    No event says so: from then on neither its time nor its signal nor an operator is waited for.
    """
    return step.status in _GOING_FORWARD and state.compensation_began_at is not None


def _status_over_items(state: SagaState, step: str, known: StepState) -> str:
    items = {step_status(state, f"{step}/{index}") for index in range(known.items_issued)}
    done = known.status is StepStatus.SUCCEEDED
    # Of a step that has succeeded, a tolerated failure may have been undone before; its other items stand.
    if done and "succeeded" in items and not items & {"blocked", "compensating"}:
        return "succeeded"
    for word in _OVER_ITEMS:
        if word in items:
            return word
    return "succeeded" if done else "unfinished" if items else "not_run"


def _step_json(state: SagaState, step: str) -> Mapping[str, Json]:
    known = state.steps.get(step)
    if known is None:
        return {"step": step, "status": step_status(state, step), "attempts": 0, "result": None}
    if known.items is None:
        attempts, result = _attempts(known), known.result
    else:
        items = [state.steps.get(f"{step}/{index}") for index in range(len(known.items))]
        attempts = max((_attempts(item) for item in items if item is not None), default=0)
        result = [None if item is None else item.result for item in items]
    return {"step": step, "status": step_status(state, step), "attempts": attempts, "result": result}


def _attempts(known: StepState) -> int:
    return 0 if known.forward is None else known.forward.attempt
