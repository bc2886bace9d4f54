"""Does an operator's verb to sagas, in one commit, and says what came of it, or what would come of it, saga by saga.

Owns what a verdict says. Which sagas are meant, who may ask and how it is shown is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from saga_engine.core.decider import Decided, Decision, Ignored, Refused, decide
from saga_engine.core.events import CancelRequested, CompensationBegan, SignalReceived
from saga_engine.core.inputs import Input, Signal
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.core.verbs import awaited_signals, useful_verbs
from saga_engine.definition.model import Json, Wait
from saga_engine.definition.problems import nearest
from saga_engine.envelope import StreamHead

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client, NotTaken


class Result(StrEnum):
    """What came of a verb on one saga. `nothing`: it was so already."""

    DONE = "done"
    NOTHING = "nothing"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it, in words, and the saga's status after it."""

    head: StreamHead
    result: Result
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Act:
    """A verb as it is to be done.

    `make`: its input, made for a time. `hopeless`: why a saga can never take it (None: it may). `details`: what else is
    told with each verdict. `ready`: all is said that it takes, so that a person may be asked. `taken`: whether a saga
    that refuses it has taken it before, so that a repetition is none the worse for coming late.
    """

    verb: str
    make: Callable[[int], Input]
    hopeless: Callable[[Client, StreamHead], str | None] = lambda _client, _head: None
    details: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    taken: Callable[[SagaState], bool] = lambda _state: False


@dataclass(frozen=True, slots=True)
class Performed:
    """A verdict for each saga in order, and the sagas whose owners have something to do now."""

    verdicts: Sequence[Verdict]
    changed: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The verdict that an act would have, and the events that would be committed. Nothing was written."""

    verdict: Verdict
    events: Sequence[str]


def signal_act(signal_id: str, event: str, data: Json) -> Act:
    """News from outside, taken once per `signal_id`, for sagas of which a step waits for such an event."""
    return Act(
        "signal",
        lambda at: Signal(at, signal_id, event, data),
        lambda client, head: _never_waited_for(client, head, event),
        {"signal_id": signal_id},
        taken=lambda state: signal_id in state.signal_ids,
    )


def perform(client: Client, act: Act, heads: Sequence[StreamHead]) -> Performed:
    """Do it to these sagas, in one commit.

    Raises:
        StoreUnavailableError: unknown who took it; signals and verbs may be repeated safely.
    """
    answers: dict[UUID, Decision | NotTaken] = {}
    for head in heads:
        reason = act.hopeless(client, head)
        if reason is not None:
            answers[head.stream_id] = Refused(reason)
    asked = [head.stream_id for head in heads if head.stream_id not in answers]
    answers |= dict(zip(asked, client.act_on_many(asked, act.make), strict=True))
    refused = [saga_id for saga_id in asked if isinstance(answers[saga_id], Refused)]
    if refused:
        states = client.states(refused)
        answers |= {saga_id: _repeated(act) for saga_id in refused if act.taken(states[saga_id])}
    changed = [saga_id for saga_id in asked if isinstance(answers[saga_id], Decided)]
    return Performed([_verdict(client, act.verb, head, answers[head.stream_id]) for head in heads], changed)


def rehearse(client: Client, act: Act, head: StreamHead) -> Rehearsed:
    """What doing it would lead to, decided as it would be; nothing is written.

    Raises as `Client.view`.
    """
    reason = act.hopeless(client, head)
    view = client.view(head.stream_id)
    answer = Refused(reason) if reason is not None else decide(view.plan, view.state, act.make(client.now))
    if isinstance(answer, Refused) and act.taken(view.state):
        answer = _repeated(act)
    events = [type(event).__name__ for event in answer.events] if isinstance(answer, Decided) else []
    return Rehearsed(_verdict(client, act.verb, head, answer), events)


def verdict_json(act: Act, verdict: Verdict) -> Mapping[str, Json]:
    """A verdict as a program reads it."""
    return {
        "id": str(verdict.head.stream_id),
        "saga": verdict.head.saga,
        "key": verdict.head.key,
        "status": verdict.status,
        "verb": act.verb,
        "result": str(verdict.result),
        "message": verdict.message,
        **act.details,
    }


def _repeated(act: Act) -> Ignored:
    return Ignored(f"a repetition: the saga had taken this {act.verb} before it ended")


def _never_waited_for(client: Client, head: StreamHead, event: str) -> str | None:
    """A signal that no step of the saga ever takes was misspelt, or meant for another saga."""
    actions = (node.action for node in client.plan(head.definition_hash).nodes.values())
    known = sorted({action.event for action in actions if isinstance(action, Wait)})
    if event in known:
        return None
    waits = f"its steps wait for {', '.join(known)}" if known else "none of its steps waits for a signal"
    hint = nearest(event, known)
    return f"no step of saga {head.saga} waits for {event!r}: {waits}{f'; {hint}' if hint else ''}"


def _verdict(client: Client, verb: str, head: StreamHead, answer: Decision | NotTaken) -> Verdict:
    match answer:
        case Decided():
            result, message = _done(client.plan(head.definition_hash), answer, verb)
            return Verdict(head, result, answer.state.status, message)
        case Refused():
            state = client.states([head.stream_id])[head.stream_id]
            possible = _possible(client.plan(head.definition_hash), state)
            return Verdict(head, Result.REFUSED, state.status, f"{answer.reason}; {possible}")
    result = Result.NOTHING if isinstance(answer, Ignored) else Result.REFUSED
    return Verdict(head, result, client.status(head.stream_id).status, answer.reason)


def _possible(plan: Plan, state: SagaState) -> str:
    verbs = useful_verbs(plan, state)
    if verbs:
        return f"possible: {', '.join(verbs)}"
    return "it has ended, and nothing can be done to it any more" if state.status.ended else "no verb is of use now"


def _done(plan: Plan, decided: Decided, verb: str) -> tuple[Result, str]:
    signal = next((event for event in decided.events if isinstance(event, SignalReceived)), None)
    if signal is not None and _is_surplus(plan, decided.state, signal):
        left = f"recorded, but no step waits for {signal.name} any more, so that nothing follows"
        return Result.DONE, f"{left}; the saga is {decided.state.status}"
    cancel = next((event for event in decided.events if isinstance(event, CancelRequested)), None)
    if cancel is None:
        return Result.DONE, _state_now(decided.state, verb)
    if not cancel.accepted:
        reason = "the cancel is recorded and refused: the saga is past the point of no return"
        return Result.REFUSED, f"{reason}; {_possible(plan, decided.state)}"
    if not any(isinstance(event, CompensationBegan) for event in decided.events):
        waits = (
            "the cancel is recorded and waits for the outcome of the pivot: it takes effect only if that is rejected"
        )
        return Result.DONE, waits
    return Result.DONE, _state_now(decided.state, verb)


def _is_surplus(plan: Plan, state: SagaState, signal: SignalReceived) -> bool:
    """Whether a signal is left over: those of its name that came before it are enough for every `wait` that is left."""
    kept = [one.signal_id for one in state.signals if one.name == signal.name]
    left = sum(1 for event in awaited_signals(plan, state) if event == signal.name)
    return signal.signal_id in kept[left:]


def _state_now(state: SagaState, verb: str) -> str:
    if state.suspended and verb != "suspend":
        return "recorded; the saga is suspended, and nothing is sent before it is resumed"
    return f"the saga is {state.status}"
