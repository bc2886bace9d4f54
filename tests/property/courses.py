"""What happens to a random saga: a tape of numbers, read against its state as replies, times and verbs.

Owns how a tape becomes inputs, and how a saga is brought to its end once everything is answered. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

from hypothesis import strategies as st

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
from saga_engine.core.plan import Plan, compile_plan
from saga_engine.core.state import SagaState, StepStatus, split
from saga_engine.core.timing import next_due, open_commands
from saga_engine.definition.model import Definition
from tests.property.definitions import INPUT, SECOND, SIGNALS

Cut: TypeAlias = tuple[int, int, int, int]
tapes: Final = st.lists(
    st.tuples(st.integers(0, 19), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=40
)

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
    """Start a saga and let happen what the tape says."""
    course = begin(definition)
    for cut in tape:
        _happen(course, cut)
    return course


def _happen(course: Course, cut: Cut) -> None:
    kind, a, b, c = cut
    at = course.now
    if kind < 10:
        course.give(_reply(course, a, b, c))
    elif kind < 15:
        due = next_due(course.plan, course.state, at)
        course.pass_time(a * SECOND if due is None or b < 4 else max(0, due - at))
    elif kind == 15:
        course.give(Signal(at, f"id-{a}", SIGNALS[b % 2], c))
    elif kind == 16:
        course.give(Cancel(at, "somebody", "why") if a < 3 else Due(at))
    elif kind == 17:
        course.give(Suspend(at, "somebody", "why"))
    elif kind == 18:
        course.give(Resume(at, "somebody", "why"))
    else:
        places = course.state.blocked
        step, item = split(places[a % len(places)]) if places and b < 8 else (None, None)
        course.give(Operate(at, tuple(Verb)[c % 3], "somebody", "why", step, item))


def _reply(course: Course, a: int, b: int, c: int) -> ReplyReceived:
    """Mostly to a command that is out; else to any step, as a late or mistaken participant might."""
    state = course.state
    out = [(command.place, command.direction) for command in open_commands(course.plan, state)]
    if out and b < 8:
        place, direction = out[a % len(out)]
    else:
        places = [*state.steps, *course.plan.nodes]
        place, direction = places[(a * 10 + b) % len(places)], tuple(Direction)[c % 2]
    step, item = split(place)
    known = state.steps.get(place)
    progress = None if known is None else known.forward if direction is Direction.FORWARD else known.backward
    attempt = 1 if progress is None else max(1, progress.attempt - (c == 9))
    outcome = tuple(Outcome)[c % 3] if a % 3 else Outcome.SUCCEEDED
    code = ("busy", "fatal")[b % 2]
    effect = tuple(Effect)[b % 2]
    return ReplyReceived(
        course.now, step, item, direction, attempt, 1 + c % 2, outcome, {"of": place}, code, "why", effect, b % 4 != 3
    )


def heal(course: Course) -> None:
    """From now on everything is answered with success, every signal comes, and an operator sees to what is blocked."""
    course.give(Resume(course.now, "operator", "healing"))
    for turn in range(_MOST_TURNS):
        if course.state.ended_as is not None:
            return
        if course.state.blocked:
            course.give(Operate(course.now, Verb.RESOLVE, "operator", "healing"))
            continue
        out = next(open_commands(course.plan, course.state), None)
        if out is not None:
            step, item = split(out.place)
            course.give(
                ReplyReceived(
                    course.now, step, item, out.direction, out.progress.attempt, 1, Outcome.SUCCEEDED, {"of": out.place}
                )
            )
            continue
        waiting = [
            step.event for step in course.state.steps.values() if step.status is StepStatus.WAITING and step.event
        ]
        if waiting and course.state.compensation_began_at is None:
            course.give(Signal(course.now, f"heal-{turn}", waiting[0], None))
            continue
        due = next_due(course.plan, course.state, course.now)
        assert due is not None, f"nothing will ever happen again: {course.state}"
        course.pass_time(max(0, due - course.now))
    raise AssertionError(f"the saga does not end: {course.state}")
