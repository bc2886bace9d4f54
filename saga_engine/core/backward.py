"""The compensating half of the decider: what is undone in which order, and what a compensation's reply leads to.

Reverse order of the graph: a step is undone when all that depend on it are undone, skipped or without effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from saga_engine.core.bounds import MOST_EVENTS
from saga_engine.core.draft import Draft
from saga_engine.core.events import (
    CommandIssued,
    CompensationFailed,
    Direction,
    SagaClosed,
    SagaCompensated,
    StepBlocked,
    StepCompensated,
    StepGivenUp,
    TimerSet,
)
from saga_engine.core.forward import EXPRESSION, GAVE_UP, advance_items, after_closing
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.core.plan import Node, compensation_of
from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState, StepStatus, address, split
from saga_engine.core.timing import budget_left, quiet_from, retry_time
from saga_engine.definition.model import Compensation, ExpressionFailed, OnExhausted

# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_FORWARD: Final = Phase.FORWARD
_COMPENSATING: Final = Phase.COMPENSATING


def begin(draft: Draft) -> None:
    """Right after CompensationBegan: what is only to be retried is given up, what can be undone is undone."""
    for place in list(draft.state.active):
        if draft.state.steps[place].status is StepStatus.RETRYING:
            name, item = split(place)
            draft.add(StepGivenUp(draft.at, name, GAVE_UP, "the saga is being compensated", item))
    advance(draft, reversed(list(draft.plan.nodes)))


def turn(draft: Draft, before: Phase) -> None:
    """If what was just decided began compensation, begin to compensate."""
    if before is _FORWARD and draft.state.phase is _COMPENSATING:
        begin(draft)


def advance(draft: Draft, places: Iterable[str]) -> None:
    """Compensate each of these steps that need it and may be undone now; end the saga when nothing is left."""
    state = draft.state
    if state.phase is not _COMPENSATING or state.suspended:
        return
    for place in places:
        node = draft.node(place)
        if not _settled(draft.state, node) and _dependents_settled(draft, node):
            _compensate(draft, node)
    _end(draft)


def advance_from(draft: Draft, node: Node) -> None:
    """Go on after something about this step has changed: at itself, or at what comes before it."""
    if _settled(draft.state, node):
        advance(draft, list(_unsettled_before(draft, node)))
    else:
        advance(draft, [node.place])


def _end(draft: Draft) -> None:
    state = draft.state
    if state.phase is not _COMPENSATING or state.active or state.blocked:
        return
    stands = any(step.undo is not None and step.undo.effect_stands for step in state.steps.values())
    draft.add(SagaClosed(draft.at) if stands else SagaCompensated(draft.at))


def _slots(state: SagaState, node: Node) -> Iterator[tuple[int | None, StepState]]:
    """The step itself, or each of its items that was opened."""
    step = state.steps.get(node.place)
    if step is None:
        return
    if step.items is None:
        yield None, step
        return
    for i in range(len(step.items)):
        item = state.steps.get(address(node.place, i))
        if item is not None:
            yield i, item


def _to_compensate(step: StepState) -> bool:
    return step.may_have_effect and (step.undo is None or not step.undo.settled)


def _settled(state: SagaState, node: Node) -> bool:
    """Without effect, undone, or given up as such: what it depends on may be undone."""
    compensable = compensation_of(node) is not None
    return not any(step.status.in_flight or (compensable and _to_compensate(step)) for _, step in _slots(state, node))


def _passes(state: SagaState, node: Node) -> bool:
    """Whether nothing of a settled step was undone since compensation began.

    Then what lies behind it must be looked at. An item of unknown outcome says nothing: it may have been undone while
    the saga went on.
    """
    return all(
        step.undo is None or (item is not None and step.status is StepStatus.UNKNOWN)
        for item, step in _slots(state, node)
    )


def _dependents_settled(draft: Draft, node: Node) -> bool:
    stack, seen = list(node.dependents), set(node.dependents)
    while stack:
        after = draft.node(stack.pop())
        if after.place not in draft.state.steps:
            continue
        if not _settled(draft.state, after):
            return False
        if _passes(draft.state, after):
            stack.extend(place for place in after.dependents if place not in seen)
            seen.update(after.dependents)
    return True


def _unsettled_before(draft: Draft, node: Node) -> Iterator[str]:
    stack, seen = list(node.needs), set(node.needs)
    while stack:
        before = draft.node(stack.pop())
        if not _settled(draft.state, before):
            yield before.place
        else:
            stack.extend(place for place in before.needs if place not in seen)
            seen.update(before.needs)


def _compensate(draft: Draft, node: Node) -> None:
    compensation = compensation_of(node)
    if compensation is None:
        return
    limit = node.loop.max_parallel if node.loop is not None else 1
    slots = list(_slots(draft.state, node))
    running = sum(1 for _, step in slots if step.undo is not None and step.undo.in_flight)
    for item, step in slots:
        if running >= limit:
            return
        if step.may_have_effect and step.undo is None and issue_compensation(draft, node, item, step, compensation):
            running += 1


def issue_compensation(draft: Draft, node: Node, item: int | None, step: StepState, compensation: Compensation) -> bool:
    """Issue the first attempt of a compensation. False when it must wait, or its expression has no value."""
    if not _is_quiet(draft, node, item, step):
        return False
    payload = None
    if compensation.payload is not None:
        value = draft.plan.evaluate(draft.state, node, compensation.payload, item)
        if isinstance(value, ExpressionFailed):
            draft.add(StepBlocked(draft.at, node.place, EXPRESSION, value.message, item))
            return False
        payload = value
    draft.add(CommandIssued(draft.at, node.place, Direction.COMPENSATE, 1, item, payload))
    return True


def _is_quiet(draft: Draft, node: Node, item: int | None, step: StepState) -> bool:
    """Whether no worker can still run the forward command; a timer is set when that is not so yet.

    An inbox decides that by itself. Without one, or not knowing, the deadline of the last send is waited for.
    """
    call = node.call
    if step.status is not StepStatus.UNKNOWN or step.fenced is True or call is None:
        return True
    if step.due is not None:
        return False
    quiet = quiet_from(draft.state, step, call.timeout)
    if quiet <= draft.at:
        return True
    draft.add(TimerSet(draft.at, node.place, quiet, None, item))
    return False


def compensation_reply(draft: Draft, node: Node, step: StepState, reply: ReplyReceived) -> str | None:
    """Take a reply to a compensation. Returns why it was ignored, or None. A rejection counts as a failure here."""
    compensation, progress = compensation_of(node), step.backward
    if compensation is None or progress is None or step.undo is None:
        return "no such compensation was issued"
    if step.undo.settled and step.undo is not CompensationStatus.EXHAUSTED:
        if reply.outcome is Outcome.SUCCEEDED and step.undo in (CompensationStatus.UNDONE, CompensationStatus.NOTHING):
            return "a repetition"
        return f"late: the compensation is {step.undo.value} already"
    if reply.outcome is Outcome.SUCCEEDED:
        draft.add(StepCompensated(draft.at, reply.step, reply.effect, reply.item))
        return None
    if reply.attempt != progress.attempt or step.undo is not CompensationStatus.ISSUED:
        return "an earlier attempt's"
    retry_at = None
    endless = compensation.retry.maximum_attempts is None and draft.state.version >= MOST_EVENTS
    if not endless and budget_left(compensation.retry, progress, reply.code):
        place = address(node.place, reply.item)
        retry_at = retry_time(draft.state.saga_id, place + "/undo", compensation.retry, progress, draft.at)
    _compensation_failed(draft, node, reply.item, compensation, reply.code, reply.message, retry_at)
    return None


def compensate_tolerated(draft: Draft, node: Node) -> None:
    """Compensate, inside a `for_each` step that goes on, what items of unknown outcome may have done."""
    compensation, step = compensation_of(node), draft.state.steps[node.place]
    if compensation is None or step.status is not StepStatus.OPEN or step.items_failed == 0:
        return
    if draft.state.phase is _FORWARD and not draft.state.suspended:
        for item, slot in list(_slots(draft.state, node)):
            if slot.status is StepStatus.UNKNOWN and slot.undo is None:
                issue_compensation(draft, node, item, slot, compensation)


def give_up_compensation(draft: Draft, node: Node, item: int | None, compensation: Compensation) -> None:
    """The time limit of a compensation has passed."""
    _compensation_failed(draft, node, item, compensation, GAVE_UP, "no answer within timeout.total", None)


def _compensation_failed(
    draft: Draft, node: Node, item: int | None, how: Compensation, code: str, message: str, retry_at: int | None
) -> None:
    progress = draft.state.steps[address(node.place, item)].backward
    assert progress is not None
    draft.add(CompensationFailed(draft.at, node.place, progress.attempt, code, message, retry_at, item))
    if retry_at is None and how.on_exhausted is OnExhausted.BLOCK:
        draft.add(StepBlocked(draft.at, node.place, code, message, item))


def reissue_compensation(draft: Draft, place: str, step: StepState) -> None:
    """The next attempt of a compensation whose back-off is over, or that an operator asked for."""
    assert step.backward is not None
    name, item = split(place)
    draft.add(CommandIssued(draft.at, name, Direction.COMPENSATE, step.backward.attempt + 1, item))


def after_compensation(draft: Draft, name: str) -> None:
    """Go on after a compensation was settled or given up, in whichever phase it ran."""
    node = draft.node(name)
    if draft.state.phase is _COMPENSATING:
        advance_from(draft, node)
    else:
        advance_items(draft, node)
        after_closing(draft, node)
