"""What time alone brings: the saga's time-out, timers, further attempts, giving up.

When something falls due is `timing`'s; how steps go forward and back is `forward`'s and `backward`'s.
"""

from __future__ import annotations

from typing import Final

from saga_engine.core import backward, forward
from saga_engine.core.draft import Draft
from saga_engine.core.plan import Node, compensation_of
from saga_engine.core.state import Phase, StepState, split
from saga_engine.core.timing import Follows, falls_due

SAGA_TIMEOUT: Final = "saga_timeout"


def pass_time(draft: Draft) -> None:
    """Bring about all that is due at the time of the draft; steps of a suspended saga wait for its resumption."""
    before = draft.state.phase
    _saga_timeout(draft)
    backward.turn(draft, before)
    if draft.state.suspended:
        return
    for place in list(draft.state.active):
        if place in draft.state.active:
            before = draft.state.phase
            _due_step(draft, place, draft.state.steps[place])
            backward.turn(draft, before)


def _saga_timeout(draft: Draft) -> None:
    limit, state = draft.plan.definition.timeout_us, draft.state
    if limit is None or state.phase is not Phase.FORWARD or draft.at < state.started_at + limit:
        return
    if not draft.plan.past_no_return(state):
        draft.begin_compensation(None, SAGA_TIMEOUT, "the saga's own time limit has passed")


def _due_step(draft: Draft, place: str, step: StepState) -> None:
    """Bring about what is due at one step, and what follows from that."""
    node = draft.plan.at(place)
    follows = next((what for at, what in falls_due(draft.plan, draft.state, node, step) if at <= draft.at), None)
    if follows is None:
        return
    item = split(place)[1]
    if follows is Follows.TIMER:
        forward.fire_timer(draft, node, place, step)
        if node.call is not None:
            backward.compensate_tolerated(draft, node)
            backward.advance_from(draft, node)
    elif step.undo is not None:
        _due_compensation(draft, node, place, follows)
    elif follows is Follows.ATTEMPT:
        forward.reissue(draft, place, step)
    elif follows is Follows.GIVING_UP and draft.state.compensation_began_at is not None:
        forward.give_up(draft, node, item, "no answer when the saga was being compensated")
        backward.advance_from(draft, node)
    elif follows is Follows.GIVING_UP:
        forward.give_up(draft, node, item, "no answer within timeout.total")
        backward.compensate_tolerated(draft, node)


def _due_compensation(draft: Draft, node: Node, place: str, follows: Follows) -> None:
    if follows is Follows.ATTEMPT:
        backward.reissue_compensation(draft, place, draft.state.steps[place])
    else:
        compensation = compensation_of(node)
        assert compensation is not None
        backward.give_up_compensation(draft, node, split(place)[1], compensation)
        backward.after_compensation(draft, node.place)
