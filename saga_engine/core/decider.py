"""`decide`: what follows from one input, as events, or why nothing does.

Total: a late or repeated input is `Ignored`, an impossible one `Refused`; neither is an exception. Owns which input
does what; how steps go forward and back is `forward`'s and `backward`'s, what time brings is `due`'s.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from saga_engine.core import backward, due, forward
from saga_engine.core.bounds import MOST_EVENTS, SIGNAL_EVENTS, TOO_MANY_EVENTS, too_long
from saga_engine.core.draft import Draft
from saga_engine.core.events import (
    CancelRequested,
    Direction,
    Event,
    OperatorActed,
    Resumed,
    SagaStarted,
    SignalReceived,
    StepSkipped,
    StepSucceeded,
    Suspended,
    Verb,
)
from saga_engine.core.inputs import Cancel, Due, Input, Operate, ReplyReceived, Resume, Signal, Start, Suspend
from saga_engine.core.outgoing import Outgoing
from saga_engine.core.plan import Plan, compensation_of
from saga_engine.core.state import Phase, SagaState, StepState, StepStatus, address, split
from saga_engine.core.verbs import ALLOWED
from saga_engine.immutable import dataclass

CANCELLED = "cancelled"


# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_NEW: Final = Phase.NEW
_FORWARD: Final = Phase.FORWARD
_COMPENSATING: Final = Phase.COMPENSATING
_ENDED: Final = Phase.ENDED


@dataclass(frozen=True, slots=True)
class Decided:
    """The events that follow, the state they lead to, and what they send out once they are committed."""

    events: tuple[Event, ...]
    state: SagaState
    outgoing: tuple[Outgoing, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing follows: the input is late, repeated, or about nothing that was asked."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The input asks for what the saga's state does not allow."""

    reason: str


Decision: TypeAlias = Decided | Ignored | Refused
"""What came of an input."""


def decide(plan: Plan, state: SagaState, input: Input) -> Decision:
    """What follows from `input` for a saga in `state`. Pure and deterministic: time comes in with the input."""
    if isinstance(input, Start):
        return _start(plan, state, input)
    if state.phase is _NEW:
        return Refused("the saga was never started")
    if state.phase is _ENDED:
        late = isinstance(input, ReplyReceived | Due)
        return Ignored(f"late: the saga is {state.status}") if late else Refused(f"the saga is {state.status} already")
    draft = Draft(plan, state, input.at)
    outcome = _take(draft, input)
    if outcome is not None:
        return outcome
    _stop_growing(draft)
    return _decided(draft) if draft.events else Ignored("nothing is due")


def _stop_growing(draft: Draft) -> None:
    """A saga that has reached its limit of events goes forward no more; what it has done is compensated."""
    state = draft.state
    if state.version >= MOST_EVENTS and state.phase is _FORWARD and not draft.plan.past_no_return(state):
        draft.begin_compensation(None, TOO_MANY_EVENTS, too_long(state.version))
        backward.turn(draft, _FORWARD)


def _decided(draft: Draft) -> Decided:
    return Decided(tuple(draft.events), draft.state, tuple(draft.outgoing))


def _take(draft: Draft, input: ReplyReceived | Due | Signal | Cancel | Suspend | Resume | Operate) -> Decision | None:
    match input:
        case ReplyReceived():
            return _reply(draft, input)
        case Due():
            due.pass_time(draft)
            return None
        case Signal():
            return _signal(draft, input)
        case Cancel():
            return _cancel(draft, input)
        case Suspend():
            return _suspend(draft, input)
        case Resume():
            return _resume(draft, input)
        case _:
            return _operate(draft, input)


def _start(plan: Plan, state: SagaState, start: Start) -> Decision:
    if state.phase is not _NEW:
        return Ignored("started already")
    draft = Draft(plan, state, start.at)
    draft.add(
        SagaStarted(
            start.at,
            plan.definition.saga,
            plan.definition.version,
            start.definition_hash,
            start.key,
            start.generation,
            start.input,
            start.traceparent,
        )
    )
    forward.open_ready(draft, plan.roots)
    backward.turn(draft, _FORWARD)
    return _decided(draft)


def _reply(draft: Draft, reply: ReplyReceived) -> Ignored | None:
    node = draft.plan.nodes.get(reply.step)
    step = draft.state.steps.get(address(reply.step, reply.item))
    if node is None or step is None:
        return Ignored("no such command was issued")
    before = draft.state.phase
    if reply.direction is Direction.FORWARD:
        why = forward.forward_reply(draft, node, step, reply)
    else:
        why = backward.compensation_reply(draft, node, step, reply)
    if why is not None:
        return Ignored(why)
    if draft.state.phase is _FORWARD and reply.item is not None:
        backward.compensate_tolerated(draft, node)
        forward.advance_items(draft, node)
        forward.after_closing(draft, node)
    elif before is _COMPENSATING:
        backward.advance_from(draft, node)
    backward.turn(draft, before)
    return None


def _signal(draft: Draft, signal: Signal) -> Decision | None:
    if signal.signal_id in draft.state.signal_ids:
        return Ignored("a repetition")
    if draft.state.version >= SIGNAL_EVENTS:
        return Refused(f"the saga has {draft.state.version:,} events; signals are taken up to {SIGNAL_EVENTS:,}")
    draft.add(SignalReceived(draft.at, signal.signal_id, signal.name, signal.data))
    if draft.state.phase is _FORWARD and not draft.state.suspended:
        _take_signals(draft)
        backward.turn(draft, _FORWARD)
    return None


def _take_signals(draft: Draft) -> None:
    for place in list(draft.state.active):
        if place in draft.state.active and draft.state.steps[place].status is StepStatus.WAITING:
            node = draft.node(place)
            forward.take_signal(draft, node)
            if draft.state.steps[place].status is StepStatus.SUCCEEDED:
                forward.after_closing(draft, node)


def _not_allowed(draft: Draft, verb: str) -> Refused | None:
    status = draft.state.status
    return None if status in ALLOWED[verb] else Refused(f"a saga that is {status} does not allow {verb}")


def _cancel(draft: Draft, cancel: Cancel) -> Decision | None:
    if draft.state.phase is _COMPENSATING:
        return Ignored("the saga is being compensated already")
    if draft.plan.pivot_is_open(draft.state):
        if draft.state.cancel_requested:
            return Ignored("a cancel waits for the pivot's outcome already")
        draft.add(CancelRequested(draft.at, cancel.who, cancel.why))
    elif draft.plan.past_no_return(draft.state):
        draft.add(CancelRequested(draft.at, cancel.who, cancel.why, accepted=False))
    else:
        draft.add(CancelRequested(draft.at, cancel.who, cancel.why))
        draft.begin_compensation(None, CANCELLED, cancel.why)
        backward.turn(draft, _FORWARD)
    return None


def _suspend(draft: Draft, suspend: Suspend) -> Decision | None:
    if draft.state.suspended:
        return Ignored("suspended already")
    draft.add(Suspended(draft.at, suspend.who, suspend.why))
    return None


def _resume(draft: Draft, resume: Resume) -> Decision | None:
    refused = _not_allowed(draft, "resume")
    if refused is not None:
        return refused
    draft.add(Resumed(draft.at, resume.who, resume.why))
    if draft.state.phase is _FORWARD:
        for place, step in list(draft.state.steps.items()):
            if step.status is StepStatus.OPEN:
                backward.compensate_tolerated(draft, draft.node(place))
        _take_signals(draft)
        forward.reopen_all(draft)
        backward.turn(draft, _FORWARD)
    else:
        backward.begin(draft)
    due.pass_time(draft)
    return None


def _operate(draft: Draft, operate: Operate) -> Decision | None:
    refused = _not_allowed(draft, operate.verb.value)
    if refused is not None:
        return refused
    places = [
        place for place in draft.state.blocked if operate.step is None or split(place) == (operate.step, operate.item)
    ]
    if not places:
        return Refused(f"{operate.step} is not blocked; blocked: {', '.join(draft.state.blocked)}")
    before = draft.state.phase
    for place in places:
        name, item = split(place)
        draft.add(OperatorActed(draft.at, operate.verb, name, operate.who, operate.why, item))
        step = draft.state.steps[place]
        if step.status is StepStatus.BLOCKED:
            _operate_forward(draft, name, item, operate.verb)
        elif operate.verb is not Verb.RETRY:
            backward.after_compensation(draft, name)
        elif step.backward is None:
            _retry_unissued(draft, name, item, step)
        else:
            backward.reissue_compensation(draft, place, step)
    backward.turn(draft, before)
    return None


def _retry_unissued(draft: Draft, name: str, item: int | None, step: StepState) -> None:
    """A compensation that was blocked before it could be issued: its expression had no value."""
    compensation = compensation_of(draft.node(name))
    assert compensation is not None
    backward.issue_compensation(draft, draft.node(name), item, step, compensation)


def _operate_forward(draft: Draft, name: str, item: int | None, verb: Verb) -> None:
    """A forward step that was blocked past the point of no return: open or try it again, or close it as it is."""
    node, step = draft.node(name), draft.state.steps[address(name, item)]
    if verb is Verb.RETRY and step.forward is not None:
        forward.reissue(draft, address(name, item), step)
    elif verb is Verb.RETRY:
        forward.reopen(draft, node, item)
    elif verb is Verb.SKIP and item is None:
        draft.add(StepSkipped(draft.at, name))
    else:
        draft.add(StepSucceeded(draft.at, name, item))
    forward.advance_items(draft, node)
    forward.after_closing(draft, node)
