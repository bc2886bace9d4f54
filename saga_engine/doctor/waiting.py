"""Open sagas that wait for something that will not come: a command that nobody serves, a signal that nobody sends.

They are judged by the definition that they were started with, which may be older than the files. Changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, Status
from saga_engine.core.verbs import useful_verbs
from saga_engine.core.waits import AwaitedReply, AwaitedSignal, waits_for
from saga_engine.definition.asked import commands_of
from saga_engine.definition.model import Wait
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.doctor.project import Project, unserved_in_files
from saga_engine.doctor.sagas import LONG, LOOKED_AT, Look, state_of
from saga_engine.envelope import StreamHead
from saga_engine.identifiers import lowest_id
from saga_engine.plural import several
from saga_engine.ports.store import StreamFilter

_GOING_ON: Final = (str(Status.RUNNING), str(Status.COMPENSATING), str(Status.BLOCKED))


@dataclass(frozen=True, slots=True)
class _Awaiting:
    """What open sagas of one name wait for."""

    saga: str
    awaited: str


def unserved(look: Look, project: Project) -> Iterator[Finding]:
    """Open sagas that wait for the reply to a command that no handler serves."""
    if project.participants is None:
        return
    heads = look.store.list(StreamFilter(statuses=_GOING_ON, limit=LOOKED_AT))
    asked = {one.definition_hash: commands_of(look.plans.get(one.definition_hash).definition) for one in heads}
    doubtful = [one for one in heads if asked[one.definition_hash] - project.served]
    awaiting: dict[_Awaiting, list[SagaState]] = defaultdict(list)
    for state in state_of(look, [one.stream_id for one in doubtful]):
        for command in _awaited_commands(look, doubtful, state) - project.served:
            awaiting[_Awaiting(state.saga, command)].append(state)
    told = {command for _, command in unserved_in_files(project)}
    for what, states in awaiting.items():
        participant = what.awaited.partition(".")[0]
        if what.awaited in told:
            waiting = (
                f"{several(len(states), 'saga')} wait{'s' if len(states) == 1 else ''} for {what.awaited}, which the"
            )
            yield fine("waiting", what.saga, f"{waiting} finding about its definition explains")
            continue
        yield Finding(
            "waiting",
            Severity.ERROR if participant in project.participants else Severity.WARNING,
            f"{what.saga} {states[0].key}" + ("" if len(states) == 1 else " and others"),
            f"{several(len(states), 'saga')} (version {states[0].definition_version}) wait"
            f"{'s' if len(states) == 1 else ''} for {what.awaited}, which no handler serves",
            "The command is put back again and again until a worker knows it.",
            f"write a handler for {what.awaited}{_or_cancel(look, heads, states)}",
        )
    if not awaiting:
        yield fine("waiting", "sagas", "none waits for a command that nobody serves")


def _or_cancel(look: Look, heads: Sequence[StreamHead], states: Sequence[SagaState]) -> str:
    """The other way out, for the first that has it: not who is compensated already or past its point of no return."""
    for state in states:
        if "cancel" in useful_verbs(_plan(look, heads, state), state):
            return f", or saga cancel {state.saga_id} --why TEXT"
    return ""


def _plan(look: Look, heads: Sequence[StreamHead], state: SagaState) -> Plan:
    return look.plans.get(next(one.definition_hash for one in heads if one.stream_id == state.saga_id))


def _awaited_commands(look: Look, heads: Sequence[StreamHead], state: SagaState) -> set[str]:
    waits = waits_for(_plan(look, heads, state), state, look.now)
    return {f"{one.participant}.{one.command}" for one in waits if isinstance(one, AwaitedReply)}


def unsignalled(look: Look) -> Iterator[Finding]:
    """Open sagas that have waited for a signal for long, in a `wait` that no time limit ends."""
    wanted = StreamFilter(statuses=_GOING_ON, before=lowest_id(look.now - LONG), limit=LOOKED_AT)
    endless = [head for head in look.store.list(wanted) if _may_wait_for_ever(look, head)]
    hashes = {head.stream_id: head.definition_hash for head in endless}
    awaiting: dict[_Awaiting, list[SagaState]] = defaultdict(list)
    for state in state_of(look, list(hashes)):
        waits = _endless_waits(look, hashes[state.saga_id], state)
        for event in {one.event for one in waits if state.steps[one.step].opened_at < look.now - LONG}:
            awaiting[_Awaiting(state.saga, event)].append(state)
    for what, states in awaiting.items():
        yield Finding(
            "waiting",
            Severity.WARNING,
            f"{what.saga} {states[0].key}" + ("" if len(states) == 1 else " and others"),
            f"{several(len(states), 'saga')} for more than a day in a wait for {what.awaited}, which has no time limit",
            "If nobody sends that signal, it waits for ever.",
            f"saga signal {states[0].saga_id} {what.awaited}, and give the wait a timeout in the next version",
        )


def _endless_waits(look: Look, definition_hash: str, state: SagaState) -> Iterator[AwaitedSignal]:
    for one in waits_for(look.plans.get(definition_hash), state, look.now):
        if isinstance(one, AwaitedSignal) and one.until is None:
            yield one


def _may_wait_for_ever(look: Look, head: StreamHead) -> bool:
    nodes = look.plans.get(head.definition_hash).nodes.values()
    return any(isinstance(node.action, Wait) and node.action.timeout_us is None for node in nodes)
