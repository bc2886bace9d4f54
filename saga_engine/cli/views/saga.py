"""A saga's state as a person or a program reads it: status, steps, failure.

Owns the shown status of a step. Knows no event: what happened when is the timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from saga_engine.cli.output import Part, Styled, brief_json, rfc3339
from saga_engine.core.bounds import MANY_EVENTS, MOST_EVENTS
from saga_engine.core.state import Phase, SagaState, Status, StepState, StepStatus, UndoStatus
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead

COLOURS: Final[Mapping[str, str]] = {
    Status.COMPLETED: "green",
    Status.COMPENSATED: "yellow",
    Status.COMPENSATING: "yellow",
    Status.CLOSED: "red",
    Status.BLOCKED: "red",
    Status.SUSPENDED: "magenta",
    Status.RUNNING: "cyan",
}
_UNDO: Final[Mapping[UndoStatus, str]] = {
    UndoStatus.ISSUED: "compensating",
    UndoStatus.RETRYING: "compensating",
    UndoStatus.UNDONE: "compensated",
    UndoStatus.RESOLVED: "resolved",
    UndoStatus.BLOCKED: "blocked",
    UndoStatus.EXHAUSTED: "compensation_exhausted",
    UndoStatus.SKIPPED: "compensation_skipped",
}
_BEGUN: Final = (StepStatus.OPEN, StepStatus.ISSUED)


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


def saga_heading(state: SagaState, now: int) -> list[list[Part]]:
    """What stands first: which saga, how it is and for how long, why it failed, what is blocked; then its particulars.

    `now`: until when one that goes on has taken so far.
    """
    took = ((now if state.ended_at is None else state.ended_at) - state.started_at) / 1e6
    lines: list[list[Part]] = [
        [
            Styled(state.saga, bold=True),
            f"  {state.key}  ",
            status_part(state.status),
            f"  {'for' if state.ended_at is None else 'in'} {max(took, 0):.3f} s",
        ]
    ]
    if state.failure is not None:
        step = f"{state.failure.step}: " if state.failure.step else ""
        lines.append(_field("failure", f"{step}{state.failure.code}: {state.failure.message}", "red"))
    if state.blocked:
        lines.append(_field("blocked", ", ".join(state.blocked), "red"))
    lines += [
        _field("id", str(state.saga_id)),
        _field("version", str(state.definition_version)),
        _field("input", brief_json(state.input)),
        _field("started", rfc3339(state.started_at)),
    ]
    if state.version >= MANY_EVENTS:
        lines.append(_field("events", f"{state.version:,}, which is many: it goes forward up to {MOST_EVENTS:,}"))
    if state.ended_at is not None:
        lines.append(_field("ended", rfc3339(state.ended_at)))
    return lines


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


def status_part(status: str) -> Styled:
    """A status in its colour."""
    return Styled(status, COLOURS.get(status))


def step_status(state: SagaState, step: str) -> str:
    """One word for a step: how far it is forward, or, once it is being undone, how far that is."""
    known = state.steps.get(step)
    if known is None:
        return "pending" if state.phase is Phase.FORWARD else "not_run"
    if known.undo is not None and known.undo in _UNDO:
        return _UNDO[known.undo]
    if known.undo is UndoStatus.NOTHING and known.status is not StepStatus.REJECTED:
        return "without_effect"
    return "running" if known.status in _BEGUN else str(known.status)


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


def _field(name: str, value: str, colour: str | None = None) -> list[Part]:
    return [Styled(f"  {name:<8} ", dim=True), Styled(value, colour)]
