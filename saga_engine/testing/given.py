"""Given/when/then for sagas: a definition, what happens to it, what must follow, by the real decider and no I/O.

Owns the course of a test and its time. `moves` holds what may happen, `expectations` what may be expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import Final
from uuid import UUID

from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, Decision, Ignored, Refused, decide
from saga_engine.core.events import Direction, Event
from saga_engine.core.inputs import Due, Input, Start
from saga_engine.core.outgoing import PublishEvent, SendCommand
from saga_engine.core.plan import Plan, compensation_of
from saga_engine.core.state import Progress, SagaState, StepState, address, split
from saga_engine.core.timing import next_due, open_commands, send_is_due
from saga_engine.definition.canonical import definition_hash
from saga_engine.definition.children import NotExpanded, expand
from saga_engine.definition.durations import EXPECTED, format_duration, parse_duration
from saga_engine.definition.inputs import InputRejected, check_input
from saga_engine.definition.model import Json
from saga_engine.testing.expectations import (
    ExpectedCommand,
    ExpectedEvent,
    ExpectedPublished,
    Pattern,
    SentCommand,
    T,
    brief,
    differences,
    told,
)
from saga_engine.testing.moves import Move
from saga_engine.testing.sources import Source, load
from saga_engine.testing.virtual_time import BEGIN

# A failed expectation is shown at the line of the test that has it, not in here.
__tracebackhide__ = methodcaller("errisinstance", AssertionError)

_SAGA_ID: Final = UUID("01900000-0000-7000-8000-000000000001")
_MOST_LOOKS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Happening:
    """One input and what was decided on it."""

    input: Input
    decision: Decision

    @property
    def events(self) -> tuple[Event, ...]:
        return self.decision.events if isinstance(self.decision, Decided) else ()

    @property
    def said(self) -> str:
        match self.decision:
            case Decided():
                return ", ".join(brief(event) for event in self.decision.events)
            case Ignored(reason=reason):
                return f"ignored: {reason}"
            case Refused(reason=reason):
                return f"refused: {reason}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A saga under test. Every step of it is a new scenario, so that one beginning can be taken further in many ways.

    What `then_...` speaks about is the last `started`, `when` or `after`. They raise AssertionError with the difference
    and the saga's timeline.
    """

    plan: Plan
    state: SagaState
    now: int = BEGIN
    past: tuple[Happening, ...] = ()
    latest: tuple[Happening, ...] = ()
    commands: tuple[SentCommand, ...] = ()
    published: tuple[PublishEvent, ...] = ()

    def started(self, input: Json = None, *, key: str = "key-1") -> Scenario:
        """The saga starts with this input, which must pass the definition's schema (ValueError if not)."""
        checked = check_input(self.plan.definition, {} if input is None else input)
        if isinstance(checked, InputRejected):
            raise ValueError(f"the input does not fit saga {self.plan.definition.saga}:\n{checked}")
        pinned = definition_hash(self.plan.definition)
        return self._anew()._take(Start(self.now, pinned, key, 1, checked))

    def when(self, *moves: Move) -> Scenario:
        """These happen, one after the other, at the same time."""
        after = self._anew()
        for move in moves:
            after = after._take(move(after.state, after.now))
        return after

    def after(self, duration: str) -> Scenario:
        """Time passes: whatever falls due meanwhile happens when it is due, unanswered commands are sent again."""
        microseconds = parse_duration(duration)
        if microseconds is None:
            raise ValueError(f"{duration!r} is not {EXPECTED}")
        scenario, end = self._anew(), self.now + microseconds
        for _ in range(_MOST_LOOKS):
            due = next_due(scenario.plan, scenario.state, scenario.now)
            if due is None or due > end:
                return scenario._look(end)
            scenario = scenario._look(max(due, scenario.now))
        raise AssertionError(scenario._report(f"within {duration} the saga never comes to rest"))

    def then(self, *expected: ExpectedEvent) -> Scenario:
        """Exactly these events followed, in this order: `brief` forms or `expectations.event(...)`."""
        self._same("the events", expected, self.events, [brief(event) for event in self.events])
        return self

    def then_commands(self, *expected: ExpectedCommand) -> Scenario:
        """Exactly these commands went out: `participant.command`, or `expectations.command(...)`."""
        self._same("the commands", expected, self.commands, [command.name for command in self.commands])
        return self

    def then_published(self, *expected: ExpectedPublished) -> Scenario:
        """Exactly these domain events went out: names, or `expectations.published(...)`."""
        self._same("the published events", expected, self.published, [event.name for event in self.published])
        return self

    def then_status(self, expected: str) -> Scenario:
        """The saga is `running`, `compensating`, `blocked`, `suspended`, `completed`, `compensated` or `closed`."""
        return self._equal("the status", expected, self.state.status.value)

    def then_step(self, step: str, status: str, *, item: int | None = None) -> Scenario:
        """The forward side of a step (`succeeded`, `unknown`, ...), or `not opened`."""
        known = self.state.steps.get(address(step, item))
        return self._equal(f"step {address(step, item)}", status, "not opened" if known is None else known.status.value)

    def then_output(self, expected: Json) -> Scenario:
        """The saga has completed with this output."""
        return self._equal("the output", expected, self.state.output)

    def then_failure(self, code: str, *, step: str | None = None) -> Scenario:
        """The saga is compensated because of this failure, of this step or (None) of the saga as a whole."""
        failure = self.state.failure
        return self._equal("the failure", (step, code), None if failure is None else (failure.step, failure.code))

    def then_due_in(self, duration: str | None) -> Scenario:
        """The saga must be looked at after exactly this time if nothing arrives; None: it waits for nothing timed."""
        due = next_due(self.plan, self.state, self.now)
        return self._equal("the next due time", duration, None if due is None else _shown(due - self.now))

    def then_nothing(self) -> Scenario:
        """No event followed, no command went out."""
        return self.then().then_commands()

    def then_ignored(self, reason: str = "") -> Scenario:
        """Everything that happened was ignored; `reason` is part of why."""
        return self._all(Ignored, "ignored", reason)

    def then_refused(self, reason: str = "") -> Scenario:
        """Everything that happened was refused; `reason` is part of why."""
        return self._all(Refused, "refused", reason)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events that followed from the last `started`, `when` or `after`."""
        return tuple(event for happening in self.latest for event in happening.events)

    @property
    def stream(self) -> tuple[Event, ...]:
        """All events of the saga."""
        return tuple(event for happening in self.past for event in happening.events)

    def __repr__(self) -> str:
        saga = self.plan.definition.saga
        return f"<scenario of {saga}: {self.state.status if self.past else 'not started'}, {len(self.stream)} events>"

    def _anew(self) -> Scenario:
        return replace(self, latest=(), commands=(), published=())

    def _take(self, input: Input) -> Scenario:
        decision = decide(self.plan, self.state, input)
        happening = Happening(input, decision)
        taken = replace(self, past=(*self.past, happening), latest=(*self.latest, happening))
        if not isinstance(decision, Decided):
            return taken
        out = [sent for sent in decision.outgoing if isinstance(sent, SendCommand)]
        return replace(
            taken,
            state=decision.state,
            commands=(*self.commands, *(_command(self.plan, decision.state, sent) for sent in out)),
            published=(*self.published, *(sent for sent in decision.outgoing if isinstance(sent, PublishEvent))),
        )

    def _look(self, at: int) -> Scenario:
        """What an orchestrator does with a due saga: it decides, and asks again what was due to be asked again."""
        taken = replace(self, now=at)._take(Due(at))
        again: list[SentCommand] = []
        if at > self.now:
            for out in open_commands(taken.plan, taken.state):
                if send_is_due(out.timeout.reply_us, out.progress.at, self.now + 1, at):
                    step, item = split(out.place)
                    sent = SendCommand(0, step, item, out.direction, out.progress.attempt)
                    again.append(replace(_command(taken.plan, taken.state, sent), again=True))
        return replace(taken, commands=(*taken.commands, *again))

    def _same(self, what: str, expected: Sequence[str | Pattern[T]], actual: Sequence[T], short: Sequence[str]) -> None:
        different = differences(expected, actual, dict(enumerate(short)))
        if different is not None:
            raise AssertionError(self._report(f"{what} are not as expected (- missing, + not expected):\n{different}"))

    def _equal(self, what: str, expected: object, actual: object) -> Scenario:
        if expected != actual:
            raise AssertionError(self._report(f"{what}: expected {expected!r}, is {actual!r}"))
        return self

    def _all(self, kind: type[Ignored | Refused], word: str, reason: str) -> Scenario:
        if not self.latest:
            raise AssertionError(self._report(f"nothing happened that could have been {word}"))
        for happening in self.latest:
            decision = happening.decision
            if not isinstance(decision, kind) or reason not in decision.reason:
                because = f" because {reason!r}" if reason else ""
                raise AssertionError(
                    self._report(f"{told(happening.input)} should have been {word}{because}: {happening.said}")
                )
        return self

    def _report(self, problem: str) -> str:
        lines = [
            f"  {'+' + _shown(happening.input.at - BEGIN):>10}  {told(happening.input)} → {happening.said}"
            for happening in self.past
        ]
        return "\n".join([problem, "so far:", *lines])


def given(definition: Source, *, children: Iterable[Source] = ()) -> Scenario:
    """A saga that was not started yet. `children`: the definitions that its `saga` steps name.

    Raises:
        ValueError: a definition does not load; the text lists its problems.
    """
    known = {child.saga: child for child in map(load, children)}
    whole = expand(load(definition), lambda saga, _version: known.get(saga))
    if isinstance(whole, NotExpanded):
        raise ValueError(str(whole))
    return Scenario(compile_plan(whole), SagaState(_SAGA_ID))


def _command(plan: Plan, state: SagaState, sent: SendCommand) -> SentCommand:
    node, step = plan.nodes[sent.step], state.steps[address(sent.step, sent.item)]
    call, undo = node.call, compensation_of(node)
    assert call is not None, "only calls send commands"
    forward = sent.direction is Direction.FORWARD
    to = call if forward or undo is None else undo
    return SentCommand(
        f"{to.participant}.{to.command}",
        sent.step,
        sent.item,
        sent.direction,
        sent.attempt,
        _payload(step, forward=forward or undo is None or undo.payload is None),
    )


def _payload(step: StepState, *, forward: bool) -> Json:
    progress: Progress | None = step.forward if forward else step.backward
    return None if progress is None else progress.payload


def _shown(microseconds: int) -> str:
    """A duration in the notation of definitions, or in microseconds where that cannot say it."""
    return f"{microseconds}us" if microseconds % 1_000 else format_duration(microseconds)
