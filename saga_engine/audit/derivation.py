"""Group A, what events carry: it follows from the events before, or from the inputs that were recorded.

Owns A7. Evaluates the definition's expressions anew; the decider itself is asked only where its inputs were kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from saga_engine.audit.case import Case
from saga_engine.audit.history import Section
from saga_engine.audit.inputs import InputError, decode_input
from saga_engine.audit.invariant import Finding, Findings, SagaInvariant, invariant
from saga_engine.audit.records.stored import StoredEvent
from saga_engine.codec import encode_event
from saga_engine.core import events as e
from saga_engine.core.decider import Decided, decide
from saga_engine.core.events import Direction, Event
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.definition.model import Expression, ExpressionFailed, Json
from saga_engine.envelope import EventRecord


@invariant("A7", Section.STREAMS, Section.DEFINITIONS)
def follows_from_before(case: Case) -> Findings:
    """A7: Payloads, items, conditions and output are what the definition's expressions give for the events before."""
    plan = case.plan
    if plan is None:
        return
    states = [SagaState(case.saga.saga_id), *case.states]
    for row, before, event in zip(case.stored, states, case.events, strict=False):
        yield from _carried(plan, before, row.version, event)


def _carried(plan: Plan, before: SagaState, version: int, event: Event) -> Findings:
    match event:
        case e.CommandIssued(attempt=1):
            yield from _payload(plan, before, version, event)
        case e.ItemsFixed() if event.step in plan.nodes and (loop := plan.nodes[event.step].loop) is not None:
            items = plan.evaluate(before, plan.nodes[event.step], loop.items)
            fixed = list(items) if isinstance(items, Sequence) and not isinstance(items, str) else items
            if fixed != list(event.items):
                yield Finding(f"the items of {event.step} at version {version}", "what its `in` gives")
        case e.StepSkipped() if event.step in plan.nodes and event.step not in before.blocked:
            if plan.guard(before, plan.nodes[event.step]) is not False:
                yield Finding(f"{event.step} was skipped at version {version}", "its `if` to be false")
        case e.SagaCompleted() if plan.definition.output is not None and event.output_error is None:
            if plan.evaluate_top(before, plan.definition.output) != event.output:
                yield Finding(f"the output at version {version}", "what the definition's `output` gives")
        case _:
            pass


def _payload(plan: Plan, before: SagaState, version: int, event: e.CommandIssued) -> Findings:
    call = plan.nodes[event.step].call if event.step in plan.nodes else None
    if call is None:
        return
    expression: Expression | None = call.payload
    if event.direction is Direction.COMPENSATE:
        expression = None if call.compensation is None else call.compensation.payload
    given: Json | ExpressionFailed = None
    if expression is not None:
        given = plan.evaluate(before, plan.nodes[event.step], expression, event.item)
    if given != event.payload:
        yield Finding(f"the payload of {event.step} ({event.direction}) at version {version}", "what its `with` gives")


@invariant("A7", Section.STREAMS, Section.INPUTS)
def decided_again(case: Case) -> Findings:
    """A7: The recorded inputs, decided on again, give the recorded events: byte for byte, and no others."""
    if case.plan is None or case.folded is None:
        return
    states = [SagaState(case.saga.saga_id), *case.states]
    candidates: defaultdict[int, list[str]] = defaultdict(list)
    for taken in case.saga.inputs:
        candidates[taken.version].append(taken.input)
    explained = 0
    while explained < len(case.stored):
        try:
            again = [_again(case.plan, states[explained], input) for input in candidates[explained]]
        except InputError as error:
            yield Finding(str(error), "an input of the decider")
            return
        found = max((len(events) for events in again if _is_stored(events, case.stored, explained)), default=0)
        if not found:
            told = " or ".join(", ".join(event.type for event in events) or "nothing" for events in again)
            seen = f"after version {explained} the recorded inputs give {told}" if again else "no input was recorded"
            yield Finding(seen, f"{case.stored[explained].type} at version {explained + 1}, as stored")
            return
        explained += found


def _again(plan: Plan, state: SagaState, input: str) -> list[EventRecord]:
    decision = decide(plan, state, decode_input(input))
    events = decision.events if isinstance(decision, Decided) else ()
    return [encode_event(event, state.version + i) for i, event in enumerate(events, start=1)]


def _is_stored(again: list[EventRecord], stored: Sequence[StoredEvent], after: int) -> bool:
    rows = stored[after : after + len(again)]
    return [(one.type, one.data.decode(), one.at) for one in again] == [(row.type, row.data, row.at) for row in rows]


SAGA: Final[tuple[SagaInvariant, ...]] = (follows_from_before, decided_again)
