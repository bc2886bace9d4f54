"""How long a saga may take once nothing strikes any more, computed from what its author allows.

Owns the bound. It is generous: it adds up what happens at the same time.
"""

from __future__ import annotations

from typing import Final

from saga_engine.core.timing import LONGEST_REPLY_WAIT
from saga_engine.definition.model import Call, Compensation, Definition, Retry, Sleep, Wait
from tests.simulation.conduct import MOST_FAILING_RUNS

_SECOND: Final = 1_000_000
_MOST_ITEMS: Final = 4


def bound(definition: Definition, ack_wait: float, longest: float) -> float:
    """In seconds, for one saga. `longest`: how long a message may be under way still, or a handler hang."""
    steps = sum(_step(action) for action in (step.action for step in definition.steps))
    asked_again = 2 * LONGEST_REPLY_WAIT / _SECOND
    return steps + asked_again + 20 * ack_wait + 2 * longest + 600 + (definition.timeout_us or 0) / _SECOND


def _step(action: object) -> float:
    match action:
        case Call():
            items = 1 if action.for_each is None else _MOST_ITEMS
            undo = action.compensation
            return items * (_command(action) + (0.0 if undo is None else _command(undo)))
        case Sleep(duration_us):
            return duration_us / _SECOND
        case Wait():
            return (action.timeout_us or 0) / _SECOND
    return 0.0


def _command(target: Call | Compensation) -> float:
    """Each attempt may be asked twice: once because its message was lost, once because its reply was."""
    return _attempts(target.retry) * (3 * target.timeout.reply_us + target.retry.maximum_interval_us) / _SECOND


def _attempts(retry: Retry) -> int:
    return max(MOST_FAILING_RUNS, retry.maximum_attempts or 0) + 1
