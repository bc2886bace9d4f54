"""What holds for the decider whatever the definition and whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, event, given, settings

from saga_engine.codec import decode_event, decode_state, encode_event, encode_state
from saga_engine.core.decider import Decided, Ignored, Refused, decide
from saga_engine.core.events import (
    CommandIssued,
    CompensationBegan,
    Direction,
    SagaClosed,
    SagaCompensated,
    SagaCompleted,
)
from saga_engine.core.evolve import evolve
from saga_engine.core.inputs import Due
from saga_engine.core.plan import Plan, compensation_of
from saga_engine.core.state import CompensationStatus, Phase, SagaState, Status, StepState, StepStatus, address, split
from saga_engine.core.timing import next_due
from saga_engine.definition.model import Definition, Kind
from saga_engine.definition.rules import breaches
from tests.property.courses import SAGA_ID, Course, Cut, heal, play, tapes
from tests.property.definitions import definitions

often = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
END = (SagaCompleted, SagaCompensated, SagaClosed)
CLOSED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.TIMED_OUT)


@often
@given(definitions())
def test_what_is_generated_is_sound(definition: Definition) -> None:
    assert breaches(definition) == []


@often
@given(definitions(), tapes)
def test_deciding_is_total_and_deterministic_and_its_events_fold_to_its_state(
    definition: Definition, tape: list[Cut]
) -> None:
    course = play(definition, tape)
    state = SagaState(SAGA_ID)
    for given_input, decision in zip(course.inputs, course.decisions, strict=True):
        assert decide(course.plan, state, given_input) == decision
        if isinstance(decision, Decided):
            assert decision.events
            for each in decision.events:
                state = evolve(state, each)
                assert each.at == given_input.at
            assert state == decision.state
        else:
            assert isinstance(decision, Ignored | Refused)
    assert state.version == len(course.events)
    event(f"status {state.status}")


@often
@given(definitions(), tapes)
def test_commands_keep_the_order_of_the_graph(definition: Definition, tape: list[Cut]) -> None:
    course = play(definition, tape)
    heal(course)
    undone = sum(isinstance(each, CommandIssued) and each.direction is Direction.COMPENSATE for each in course.events)
    event(f"{min(undone, 3)} compensations")
    began = False
    for before, each in _moments(course):
        if isinstance(each, CompensationBegan):
            began = True
            assert not _done_for_good(course.plan, before), f"{each} past the point of no return"
        if not isinstance(each, CommandIssued):
            continue
        if each.direction is Direction.FORWARD:
            assert not began, f"{each} after compensation began"
            _check_forward(course.plan, before, each)
        else:
            _check_undo(course.plan, before, each)


def _done_for_good(plan: Plan, state: SagaState) -> bool:
    """Whether the pivot may have been done, or a retriable step was issued."""
    for place, step in state.steps.items():
        call = plan.nodes[split(place)[0]].call
        issued = step.forward is not None and step.status is not StepStatus.REJECTED
        if call is not None and call.kind in (Kind.PIVOT, Kind.RETRIABLE) and issued:
            return True
    return False


def _check_forward(plan: Plan, before: SagaState, issued: CommandIssued) -> None:
    assert all(before.steps[need].status in CLOSED for need in plan.nodes[issued.step].needs)
    known = before.steps.get(address(issued.step, issued.item))
    last = 0 if known is None or known.forward is None else known.forward.attempt
    assert issued.attempt == last + 1
    assert not before.suspended


def _check_undo(plan: Plan, before: SagaState, issued: CommandIssued) -> None:
    node, slot = plan.nodes[issued.step], before.steps[address(issued.step, issued.item)]
    assert slot.forward is not None, "undone without ever having been issued"
    assert slot.status in (StepStatus.SUCCEEDED, StepStatus.UNKNOWN)
    assert compensation_of(node) is not None
    assert not before.suspended
    if before.phase is Phase.FORWARD:
        assert issued.item is not None
        assert slot.status is StepStatus.UNKNOWN, "only what a loop tolerates is undone while the saga goes on"
        return
    for place in _all_behind(plan, issued.step):
        assert not any(_stands(plan, place, each) for each in _slots(before, place)), f"{place} first, then {issued}"


def _all_behind(plan: Plan, place: str) -> set[str]:
    behind = set(plan.nodes[place].dependents)
    for dependent in tuple(behind):
        behind |= _all_behind(plan, dependent)
    return behind


def _slots(state: SagaState, place: str) -> list[StepState]:
    return [step for where, step in state.steps.items() if split(where)[0] == place]


def _stands(plan: Plan, place: str, slot: StepState) -> bool:
    """Whether this may still do, or still has, what must be undone first."""
    if slot.status.in_flight:
        return True
    has_effect = compensation_of(plan.nodes[place]) is not None and slot.may_have_effect and slot.items is None
    return has_effect and (slot.undo is None or not slot.undo.settled)


def _moments(course: Course) -> Iterator[tuple[SagaState, object]]:
    """Every event with the state before it."""
    state = SagaState(SAGA_ID)
    for each in course.events:
        yield state, each
        state = evolve(state, each)


@often
@given(definitions(), tapes)
def test_once_everything_is_answered_the_saga_ends_once_and_leaves_what_its_status_says(
    definition: Definition, tape: list[Cut]
) -> None:
    course = play(definition, tape)
    heal(course)
    assert sum(isinstance(each, END) for each in course.events) == 1
    assert isinstance(course.events[-1], END)
    state = course.state
    event(f"status {state.status}")
    assert next_due(course.plan, state, course.now) is None
    assert not state.active
    assert not state.blocked
    if state.status is Status.COMPLETED:
        assert all(state.steps[place].status in CLOSED for place in course.plan.nodes)
        assert all(s.undo is None or s.status is StepStatus.UNKNOWN for s in state.steps.values())
    else:
        left = [s.undo for p, s in state.steps.items() if _has_effect(course.plan, p, s)]
        good = (CompensationStatus.UNDONE, CompensationStatus.NOTHING, CompensationStatus.RESOLVED)
        assert None not in left
        assert (state.status is Status.COMPENSATED) is all(undo in good for undo in left)


def _has_effect(plan: Plan, place: str, slot: StepState) -> bool:
    return compensation_of(plan.nodes[split(place)[0]]) is not None and slot.may_have_effect and slot.items is None


@often
@given(definitions(), tapes)
def test_nothing_happens_before_it_is_due_and_nothing_stays_due(definition: Definition, tape: list[Cut]) -> None:
    course = play(definition, tape)
    course.pass_time(0)
    for _ in range(20):
        due = next_due(course.plan, course.state, course.now)
        if due is None:
            return
        assert due > course.now, "what was looked at is due again at once"
        early = decide(course.plan, course.state, Due(due - 1))
        assert isinstance(early, Ignored), f"{early} before {due}"
        course.pass_time(due - course.now)


@often
@given(definitions(), tapes)
def test_events_and_states_are_stored_and_read_back_exactly(definition: Definition, tape: list[Cut]) -> None:
    course = play(definition, tape)
    state = SagaState(SAGA_ID)
    for version, each in enumerate(course.events, start=1):
        record = encode_event(each, version)
        assert decode_event(record) == each
        assert encode_event(decode_event(record), version) == record
        state = evolve(state, each)
        kept = decode_state(encode_state(state), SagaState(SAGA_ID))
        assert kept == state
        assert list(kept.active) == list(state.active)
        assert encode_state(kept) == encode_state(state)
