"""Which verb a saga allows in which status: the one table that refusals, `show`, `verify` and the docs read.

Owns the table, and which of what it allows is of use to a saga as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, Status
from saga_engine.definition.model import Wait

_ENDED: Final = frozenset({Status.COMPLETED, Status.COMPENSATED, Status.CLOSED})
_OPEN: Final = frozenset(Status) - _ENDED

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
    and refused, and a signal that no step waits for is never taken.
    """
    allowed = (verb for verb, statuses in ALLOWED.items() if state.status in statuses)
    return tuple(verb for verb in allowed if _has_effect(verb, plan, state))


def _has_effect(verb: str, plan: Plan, state: SagaState) -> bool:
    match verb:
        case "signal":
            return any(isinstance(node.action, Wait) for node in plan.nodes.values())
        case "cancel" if plan.pivot_is_open(state):
            return state.compensation_began_at is None and not state.cancel_requested
        case "cancel":
            return state.compensation_began_at is None and not plan.past_no_return(state)
        case "suspend":
            return not state.suspended
        case _:
            return True
