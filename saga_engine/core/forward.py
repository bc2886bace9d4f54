"""The forward half of the decider: opening steps, items, timers and signals, and what a forward reply leads to.

Undoing is `backward`'s; which input does what is `decider`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from saga_engine.core.bounds import MOST_EVENTS, MOST_ITEMS, TOO_MANY_EVENTS, too_long
from saga_engine.core.doubt import in_doubt
from saga_engine.core.draft import Draft
from saga_engine.core.events import (
    CommandIssued,
    Direction,
    ItemsFixed,
    SagaCompleted,
    StepBlocked,
    StepFailed,
    StepGivenUp,
    StepRejected,
    StepSkipped,
    StepSucceeded,
    TimerFired,
    TimerSet,
)
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.core.plan import Node
from saga_engine.core.state import Phase, Progress, StepState, StepStatus, address, split
from saga_engine.core.timing import budget_left, may_give_up, must_succeed, retry_time
from saga_engine.definition.model import Call, ExpressionFailed, ForEach, OnTimeout, Sleep, Wait

EXPRESSION = "expression"
GAVE_UP = "gave_up"


# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_FORWARD: Final = Phase.FORWARD
_SUCCEEDED: Final = Outcome.SUCCEEDED


def open_ready(draft: Draft, places: Iterable[str]) -> None:
    """Open each of these steps whose needs are closed, and what that makes ready in turn; end the saga when all is."""
    queue = list(places)
    while queue and draft.state.phase is _FORWARD and not draft.state.suspended:
        node = draft.node(queue.pop(0))
        if node.place in draft.state.steps or not draft.plan.is_open(draft.state, node):
            continue
        before = draft.state.closed
        open_step(draft, node)
        if draft.state.closed > before:
            queue.extend(node.dependents)
    _complete(draft)


def after_closing(draft: Draft, node: Node) -> None:
    """Go on behind a step that has just closed."""
    open_ready(draft, node.dependents)


def reopen_all(draft: Draft) -> None:
    """Look at everything again, after a time in which nothing was allowed to be sent."""
    for place, step in list(draft.state.steps.items()):
        if step.status is StepStatus.OPEN:
            advance_items(draft, draft.node(place))
    open_ready(draft, draft.plan.nodes)


def _complete(draft: Draft) -> None:
    state = draft.state
    if state.phase is not _FORWARD or state.suspended or state.closed < len(draft.plan.nodes):
        return
    expression = draft.plan.definition.output
    output = draft.plan.evaluate_top(state, expression) if expression is not None else None
    if isinstance(output, ExpressionFailed):
        draft.add(SagaCompleted(draft.at, None, output.message))
    else:
        draft.add(SagaCompleted(draft.at, output))


def open_step(draft: Draft, node: Node) -> None:
    """Open one step: skip it, set its timer, fix its items, or issue its command."""
    allowed = not node.guards or draft.plan.guard(draft.state, node)
    if isinstance(allowed, ExpressionFailed):
        _no_value(draft, node, allowed)
    elif not allowed:
        draft.add(StepSkipped(draft.at, node.place))
    elif isinstance(node.action, Sleep):
        draft.add(TimerSet(draft.at, node.place, draft.at + node.action.duration_us))
    elif isinstance(node.action, Wait):
        limit = node.action.timeout_us
        draft.add(TimerSet(draft.at, node.place, None if limit is None else draft.at + limit, node.action.event))
        take_signal(draft, node)
    elif node.action.for_each is not None:
        _open_items(draft, node, node.action.for_each)
    else:
        _issue_first(draft, node, node.action, None)


def reopen(draft: Draft, node: Node, item: int | None) -> None:
    """Try again to open a step, or one item, that had no value for its command."""
    if item is None or node.call is None:
        open_step(draft, node)
    else:
        _issue_first(draft, node, node.call, item)


def _no_value(draft: Draft, node: Node, failed: ExpressionFailed) -> None:
    """A failing expression fails its step; past the point of no return only an operator can help."""
    if draft.plan.past_no_return(draft.state):
        draft.add(StepBlocked(draft.at, node.place, EXPRESSION, failed.message))
    else:
        draft.add(StepRejected(draft.at, node.place, EXPRESSION, failed.message))
        draft.begin_compensation(node.place, EXPRESSION, failed.message)


def _issue_first(draft: Draft, node: Node, call: Call, item: int | None) -> None:
    payload = draft.plan.evaluate(draft.state, node, call.payload, item)
    if not isinstance(payload, ExpressionFailed):
        draft.add(CommandIssued(draft.at, node.place, Direction.FORWARD, 1, item, payload))
    elif item is None:
        _no_value(draft, node, payload)
    elif draft.plan.past_no_return(draft.state):
        draft.add(StepBlocked(draft.at, node.place, EXPRESSION, payload.message, item))
    else:
        draft.add(StepRejected(draft.at, node.place, EXPRESSION, payload.message, item))
        item_failed(draft, node, item, EXPRESSION, payload.message)


def _open_items(draft: Draft, node: Node, loop: ForEach) -> None:
    items = draft.plan.evaluate(draft.state, node, loop.items)
    if isinstance(items, ExpressionFailed):
        _no_value(draft, node, items)
    elif not isinstance(items, Sequence) or isinstance(items, str):
        _no_value(draft, node, ExpressionFailed("`for_each.in` must be a list"))
    elif len(items) > MOST_ITEMS:
        _no_value(draft, node, ExpressionFailed(f"`for_each.in` has {len(items):,} items, at most {MOST_ITEMS:,}"))
    else:
        draft.add(ItemsFixed(draft.at, node.place, tuple(items)))
        advance_items(draft, node)


def advance_items(draft: Draft, node: Node) -> None:
    """Issue items up to the limit, and close the step when all are through and what they left behind is undone."""
    call, loop, step = node.call, node.loop, draft.state.steps.get(node.place)
    if call is None or loop is None or step is None or step.items is None or step.status is not StepStatus.OPEN:
        return
    i = step.items_issued
    while i < len(step.items) and draft.state.phase is _FORWARD and not draft.state.suspended:
        now = draft.state.steps[node.place]
        if now.items_issued - now.items_succeeded - now.items_failed >= loop.max_parallel:
            return
        _issue_first(draft, node, call, i)
        i += 1
    now = draft.state.steps[node.place]
    through = now.items_succeeded + now.items_failed == len(step.items)
    if through and draft.state.phase is _FORWARD and not _leftovers(draft, node, call, len(step.items)):
        draft.add(StepSucceeded(draft.at, node.place))


def _leftovers(draft: Draft, node: Node, call: Call, count: int) -> bool:
    """Whether an item of unknown outcome is still to be undone inside the step."""
    if call.compensation is None:
        return False
    steps = (draft.state.steps[address(node.place, i)] for i in range(count))
    return any(s.status is StepStatus.UNKNOWN and (s.undo is None or not s.undo.settled) for s in steps)


def item_failed(draft: Draft, node: Node, item: int, code: str, message: str) -> None:
    """One item will not succeed: tolerated, or the failure of the step."""
    tolerated = 0 if node.loop is None else node.loop.tolerate
    if draft.state.steps[node.place].items_failed > tolerated:
        draft.begin_compensation(node.place, code, f"item {item}: {message}")


def forward_reply(draft: Draft, node: Node, step: StepState, reply: ReplyReceived) -> str | None:
    """Take a reply to a forward command. Returns why it was ignored, or None."""
    call, progress = node.call, step.forward
    if call is None or progress is None:
        return "no such command was issued"
    # One that the limit of events has blocked was asked: an answer that comes after all is an answer.
    if not step.status.in_flight and step.status is not StepStatus.BLOCKED:
        return _not_awaited(step, reply)
    if reply.outcome is _SUCCEEDED:
        draft.add(StepSucceeded(draft.at, reply.step, reply.item, reply.result, reply.fenced))
        _closed(draft, node, reply.item)
        return None
    final = reply.outcome is Outcome.REJECTED and not must_succeed(draft.plan, draft.state, node)
    if final and (reply.fenced or _asked_once(draft, call, progress, reply)):
        draft.add(StepRejected(draft.at, reply.step, reply.code, reply.message, reply.item, reply.fenced))
        _lost(draft, node, reply.item, reply.code, reply.message)
        return None
    if reply.attempt != progress.attempt or step.status is not StepStatus.ISSUED:
        return "an earlier attempt's"
    told = replace(reply, message=in_doubt(reply.message)) if final else reply
    _attempt_failed(draft, node, call, progress, told, final=final)
    return None


def _not_awaited(step: StepState, reply: ReplyReceived) -> str:
    """Why a reply to a step whose outcome is known, or no longer waited for, changes nothing."""
    known, said = step.status.value, reply.outcome.value
    if known == said:
        return "a repetition"
    contradictory = {known, said} == {StepStatus.SUCCEEDED.value, StepStatus.REJECTED.value}
    return f"{'contradictory' if contradictory else 'late'}: the step is {known} already"


def _asked_once(draft: Draft, call: Call, progress: Progress, reply: ReplyReceived) -> bool:
    """Whether this reply is to the only send there was, so that no other may have had an effect that it denies."""
    first = reply.send == 1 and reply.attempt == 1 and progress.attempt == 1
    return first and draft.at < progress.at + call.timeout.reply_us


def _attempt_failed(
    draft: Draft, node: Node, call: Call, progress: Progress, reply: ReplyReceived, *, final: bool
) -> None:
    """`final`: a rejection that no inbox vouches for; the outcome is unknown, and trying again would not tell."""
    spent = final or not budget_left(call.retry, progress, reply.code)
    ends = draft.state.phase is not _FORWARD or (spent and may_give_up(draft.plan, draft.state, node))
    place = address(node.place, reply.item)
    retry_at = None if ends else retry_time(draft.state.saga_id, place, call.retry, progress, draft.at)
    draft.add(
        StepFailed(draft.at, reply.step, reply.attempt, reply.code, reply.message, retry_at, reply.item, reply.fenced)
    )
    if retry_at is None:
        _lost(draft, node, reply.item, reply.code, reply.message)
    elif draft.state.version >= MOST_EVENTS and not may_give_up(draft.plan, draft.state, node):
        why = f"{too_long(draft.state.version)}; last: {reply.code}: {reply.message}"
        draft.add(StepBlocked(draft.at, node.place, TOO_MANY_EVENTS, why, reply.item))


def give_up(draft: Draft, node: Node, item: int | None, message: str) -> None:
    """Stop waiting for a forward command; its outcome stays unknown."""
    draft.add(StepGivenUp(draft.at, node.place, GAVE_UP, message, item))
    _lost(draft, node, item, GAVE_UP, message)


def _lost(draft: Draft, node: Node, item: int | None, code: str, message: str) -> None:
    if item is not None:
        item_failed(draft, node, item, code, message)
        advance_items(draft, node)
        if draft.state.steps[node.place].status is StepStatus.SUCCEEDED:
            after_closing(draft, node)
    else:
        draft.begin_compensation(node.place, code, message)


def _closed(draft: Draft, node: Node, item: int | None) -> None:
    if item is not None:
        advance_items(draft, node)
        if draft.state.steps[node.place].status is not StepStatus.SUCCEEDED:
            return
    after_closing(draft, node)


def take_signal(draft: Draft, node: Node) -> None:
    """Give a waiting step the oldest signal of its name, if there is one."""
    event = draft.state.steps[node.place].event
    for signal in draft.state.signals:
        if signal.name == event:
            draft.add(StepSucceeded(draft.at, node.place, None, signal.data))
            return


def fire_timer(draft: Draft, node: Node, place: str, step: StepState) -> None:
    """The time of a sleeping or waiting step has come."""
    name, item = split(place)
    draft.add(TimerFired(draft.at, name, item))
    if step.status is StepStatus.SLEEPING:
        after_closing(draft, node)
    elif step.status is StepStatus.WAITING and isinstance(node.action, Wait):
        if node.action.on_timeout is OnTimeout.CONTINUE:
            draft.add(StepSucceeded(draft.at, node.place))
            after_closing(draft, node)
        else:
            message = f"no {node.action.event} came in time"
            draft.add(StepRejected(draft.at, node.place, GAVE_UP, message))
            draft.begin_compensation(node.place, GAVE_UP, message)


def reissue(draft: Draft, place: str, step: StepState) -> None:
    """The next attempt of a forward command whose back-off is over."""
    assert step.forward is not None
    name, item = split(place)
    draft.add(CommandIssued(draft.at, name, Direction.FORWARD, step.forward.attempt + 1, item))
