"""What happens to a random saga: a tape of numbers, read against its state as replies, times and verbs.

Owns how a tape becomes inputs, and how a saga is brought to its end once everything is answered. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from hypothesis import strategies as st

from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, Decision, decide
from saga_engine.core.events import Direction, Effect, Event, Verb
from saga_engine.core.inputs import (
    Cancel,
    Due,
    Input,
    Operate,
    Outcome,
    ReplyReceived,
    Resume,
    Signal,
    Start,
    Suspend,
)
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, StepStatus, split
from saga_engine.core.timing import next_due, open_commands
from saga_engine.definition.model import Definition
from tests.property.definitions import INPUT, SECOND, SIGNALS

Cut: TypeAlias = tuple[int, int, int, int]
tapes: Final = st.lists(
    st.tuples(st.integers(0, 29), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=5, max_size=50
)
_OUTCOMES: Final = (Outcome.SUCCEEDED,) * 7 + (Outcome.FAILED,) * 2 + (Outcome.REJECTED,)

SAGA_ID: Final = UUID("01900000-0000-7000-8000-00000000abcd")
_BEGIN: Final = 1_700_000_000 * SECOND
_MOST_TURNS: Final = 2_000


@dataclass(slots=True)
class Course:
    """A saga under way: every input, what was decided on it, and the state after it."""

    plan: Plan
    state: SagaState
    now: int = _BEGIN
    inputs: list[Input] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def give(self, given: Input) -> Decision:
        decision = decide(self.plan, self.state, given)
        self.inputs.append(given)
        self.decisions.append(decision)
        if isinstance(decision, Decided):
            self.state = decision.state
            self.events += decision.events
        return decision

    def pass_time(self, microseconds: int) -> None:
        """Time passes, and the orchestrator looks in at the end of it only: it may have been away."""
        self.now += microseconds
        self.give(Due(self.now))


def begin(definition: Definition) -> Course:
    course = Course(compile_plan(definition), SagaState(SAGA_ID))
    course.give(Start(course.now, "hash", "key", 1, INPUT))
    return course


def play(definition: Definition, tape: Sequence[Cut]) -> Course:
    """Start a saga; all goes well for as long as the first cut says, perhaps to a cancel; then happens the rest."""
    course = begin(definition)
    _, some, more, end = tape[0]
    for turn in range(min(some, more)):
        _go_well(course, turn)
    if end > 4:
        course.give(Cancel(course.now, "somebody", "why"))
    for cut in tape:
        _happen(course, cut)
    return course


def _happen(course: Course, cut: Cut) -> None:
    kind, a, b, c = cut
    at = course.now
    if kind < 20:
        course.give(_reply(course, a, b, c))
    elif kind < 25:
        due = next_due(course.plan, course.state, at)
        course.pass_time(a * SECOND if due is None or b < 4 else max(0, due - at))
    elif kind == 25:
        course.give(Signal(at, f"id-{a}", SIGNALS[b % 2], c))
    elif kind == 26:
        course.give(Cancel(at, "somebody", "why") if a < 3 else Due(at))
    elif kind == 27 and not course.state.suspended:
        course.give(Suspend(at, "somebody", "why"))
    elif kind in (27, 28):
        course.give(Resume(at, "somebody", "why"))
    else:
        places = course.state.blocked
        step, item = split(places[a % len(places)]) if places and b < 8 else (None, None)
        course.give(Operate(at, tuple(Verb)[c % 3], "somebody", "why", step, item))


def _reply(course: Course, a: int, b: int, c: int) -> ReplyReceived:
    """Mostly to a command that is out; else to any step, as a late or mistaken participant might."""
    state = course.state
    out = [(command.place, command.direction) for command in open_commands(course.plan, state)]
    if out and b < 9:
        place, direction = out[a % len(out)]
    else:
        places = [*state.steps, *course.plan.nodes]
        place, direction = places[(a * 10 + b) % len(places)], tuple(Direction)[c % 2]
    step, item = split(place)
    known = state.steps.get(place)
    progress = None if known is None else known.forward if direction is Direction.FORWARD else known.backward
    attempt = 1 if progress is None else max(1, progress.attempt - (c == 9))
    code = ("busy", "fatal")[b % 2]
    effect = tuple(Effect)[b % 2]
    fenced = b % 4 != 3
    return ReplyReceived(
        course.now, step, item, direction, attempt, 1 + b % 2, _OUTCOMES[c], {"of": place}, code, "why", effect, fenced
    )


def heal(course: Course) -> None:
    """From now on everything is answered with success, every signal comes, and an operator sees to what is blocked."""
    if course.state.suspended:
        course.give(Resume(course.now, "operator", "healing"))
    for turn in range(_MOST_TURNS):
        if course.state.ended_as is not None:
            return
        _go_well(course, turn)
    raise AssertionError(f"the saga does not end: {course.state}")


def _go_well(course: Course, turn: int) -> None:
    """One thing that brings the saga further. `turn` picks which, where there are several."""
    state, at = course.state, course.now
    ready = list(open_commands(course.plan, state))
    waiting = [step.event for step in state.steps.values() if step.status is StepStatus.WAITING and step.event]
    if state.ended_as is not None:
        return
    if state.blocked:
        course.give(Operate(at, Verb.RESOLVE, "operator", "healing"))
    elif ready:
        out = ready[turn % len(ready)]
        step, item = split(out.place)
        result = {"of": out.place}
        attempt = out.progress.attempt
        course.give(ReplyReceived(at, step, item, out.direction, attempt, 1, Outcome.SUCCEEDED, result))
    elif waiting and state.compensation_began_at is None:
        course.give(Signal(at, f"well-{turn}-{len(course.inputs)}", waiting[0], None))
    else:
        due = next_due(course.plan, state, at)
        assert due is not None, f"nothing will ever happen again: {state}"
        course.pass_time(max(0, due - at))
