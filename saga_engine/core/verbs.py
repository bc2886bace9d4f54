"""Which verb a saga allows in which status: the one table that refusals, `show`, `verify` and the docs read.

Owns the table only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saga_engine.core.state import Status

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


def verbs_for(status: Status) -> tuple[str, ...]:
    """The verbs that a saga of this status allows."""
    return tuple(verb for verb, statuses in ALLOWED.items() if status in statuses)
