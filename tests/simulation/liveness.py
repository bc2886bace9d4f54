"""How long a saga may take once nothing strikes any more, computed from what its author allows.

Owns the bound. It is generous: it adds up what happens at the same time.
"""

from __future__ import annotations

from typing import Final

from saga_engine.core.timing import LONGEST_REPLY_WAIT
from saga_engine.definition.model import Call, Compensation, Definition, Retry, Sleep, Wait
from tests.simulation.conduct import MOST_FAILING_RUNS
from tests.simulation.mix import LONGEST_JUMP_S, SHORT_JUMP_S, Blow, Mix

_SECOND: Final = 1_000_000
_MOST_ITEMS: Final = 4


def bound(definition: Definition, mix: Mix) -> float:
    """In seconds, for all sagas of this definition, which run beside each other.

    A message may be under way, or a handler hang, as long as the longest fault; a clock that was set back by so much
    makes everything late by it.
    """
    steps = sum(_step(action) for action in (step.action for step in definition.steps))
    asked_again = 2 * LONGEST_REPLY_WAIT / _SECOND
    jumps = mix.blows.get(Blow.CLOCK_JUMP, 0) * (LONGEST_JUMP_S if mix.long else SHORT_JUMP_S)
    upkeep = 10 * (mix.tuning.due_poll + mix.tuning.lease_interval) + 20 * mix.ack_wait + 600
    return steps + asked_again + upkeep + jumps + 2 * mix.longest + (definition.timeout_us or 0) / _SECOND


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
