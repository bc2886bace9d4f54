"""Which verb a saga allows in which status: the one table that refusals, `show`, `verify` and the docs read.

Owns the table, and which of what it allows is of use to a saga as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from saga_engine.core.plan import Plan
from saga_engine.core.state import Phase, SagaState, Status, StepStatus
from saga_engine.definition.model import Wait

_ENDED: Final = frozenset({Status.COMPLETED, Status.COMPENSATED, Status.CLOSED})
_OPEN: Final = frozenset(Status) - _ENDED
_TAKES_SIGNALS: Final = (None, StepStatus.WAITING, StepStatus.BLOCKED)
"""How a `wait` is that a signal may still end: not begun, waiting, or blocked before it began."""

ALLOWED: Final[Mapping[str, frozenset[Status]]] = {
    "signal": _OPEN,
    "cancel": _OPEN,
    "suspend": _OPEN,
    "resume": frozenset({Status.SUSPENDED}),
    "retry": frozenset({Status.BLOCKED}),
    "skip": frozenset({Status.BLOCKED}),
    "resolve": frozenset({Status.BLOCKED}),
}


def useful_verbs(plan: Plan, state: SagaState) -> tuple[str, ...]:
    """The verbs that would have an effect on this saga: what its status allows, without repetitions and refusals.

    The table allows what changes nothing, so that it may be repeated. A cancel past the point of no return is recorded
    and refused, and a signal that no step waits for, now or later, is never taken.
    """
    allowed = (verb for verb, statuses in ALLOWED.items() if state.status in statuses)
    return tuple(verb for verb in allowed if _has_effect(verb, plan, state))


def awaited_signals(plan: Plan, state: SagaState) -> Iterator[str]:
    """For each `wait` that a signal may still end, now or later, its event; none once the saga compensates."""
    if state.phase is not Phase.FORWARD:
        return
    for place, node in plan.nodes.items():
        step = state.steps.get(place)
        if isinstance(node.action, Wait) and (None if step is None else step.status) in _TAKES_SIGNALS:
            yield node.action.event


def _has_effect(verb: str, plan: Plan, state: SagaState) -> bool:
    match verb:
        case "signal":
            return any(True for _ in awaited_signals(plan, state))
        case "cancel" if plan.pivot_is_open(state):
            return state.compensation_began_at is None and not state.cancel_requested
        case "cancel":
            return state.compensation_began_at is None and not plan.past_no_return(state)
        case "suspend":
            return not state.suspended
        case _:
            return True
