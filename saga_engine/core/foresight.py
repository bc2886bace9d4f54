"""What would follow if a saga were cancelled, or a step of it failed: which commands would be sent, in which waves.

Found by playing the real `decide` over a copy of the state, every command answered with success. Pure; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from saga_engine.core.compiling import compile_plan
from saga_engine.core.decider import Decided, Ignored, Refused, decide
from saga_engine.core.events import Direction
from saga_engine.core.inputs import Cancel, Due, Input, Outcome, ReplyReceived, Resume, Signal
from saga_engine.core.outgoing import Outgoing, PublishEvent, SendCommand
from saga_engine.core.plan import Plan, compensation_of
from saga_engine.core.state import CompensationStatus, Phase, SagaState, Status, StepStatus, address, split
from saga_engine.core.supposing import supposing
from saga_engine.core.timing import must_succeed, next_due
from saga_engine.definition.model import Json, Kind, OnTimeout, Wait

SUPPOSED: Final = "supposed"
"""The failure code of a step that is supposed to fail, and who supposes."""

_MOST_WAVES: Final = 100_000


@dataclass(frozen=True, slots=True)
class ForeseenCommand:
    """A command that would be sent. A value that depends on a result to come stands in `payload` as it is written."""

    step: str
    item: int | None
    direction: Direction
    participant: str
    command: str
    payload: Json


@dataclass(frozen=True, slots=True)
class Wave:
    """What is sent at one time. `after`: what it follows from; `wait_us`: how much time passes before, at least.

    `events` are names of domain events: what they say may depend on results to come.
    """

    after: tuple[str, ...]
    wait_us: int
    commands: tuple[ForeseenCommand, ...]
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Foresight:
    """How it would go on, and the status in which the saga would end or stop. `notes`: what that rests on."""

    waves: tuple[Wave, ...]
    status: Status
    notes: tuple[str, ...]


def foresee_cancel(plan: Plan, state: SagaState, at: int) -> Foresight | Refused:
    """What would follow from a cancel at the time `at` (microseconds)."""
    course = _Course(plan, state, at)
    decision = course.give(Cancel(at, SUPPOSED, SUPPOSED), "cancel")
    if isinstance(decision, Ignored):
        return Refused(decision.reason)
    if isinstance(decision, Refused):
        return decision
    if course.state.phase is Phase.FORWARD:
        if not course.state.cancel_requested:
            return Refused("the saga is past the point of no return: a cancel would be recorded and refused")
        course.notes.append("a cancel waits for the outcome of the pivot; it is supposed to be rejected")
        assert plan.pivot is not None
        course.fail(plan.pivot)
    course.resume()
    return course.to_its_end()


def foresee_failure(plan: Plan, state: SagaState, step: str, at: int) -> Foresight | Refused:
    """What would follow if `step` were rejected (a `wait`: if its time ran out), everything before it succeeding."""
    impossible = _cannot_fail(plan, state, step)
    if impossible is not None:
        return Refused(impossible)
    course = _Course(compile_plan(supposing(plan.definition)), state, at)
    course.resume()
    for _ in range(_MOST_WAVES):
        if course.fail(step):
            return course.to_its_end()
        known = course.state.steps.get(step)
        if course.state.phase is not Phase.FORWARD:
            return Refused(f"{step} would not be reached: the saga would be {course.state.status} before")
        if known is not None and known.status in (StepStatus.SKIPPED, StepStatus.SUCCEEDED):
            return Refused(f"{step} would not fail: it would be {known.status}")
        if not course.on():
            break
    return Refused(f"{step} would not be reached: the saga waits for something else")


def _cannot_fail(plan: Plan, state: SagaState, step: str) -> str | None:
    """Why this step cannot fail any more, or never can."""
    node, known = plan.nodes[step], state.steps.get(step)
    if state.phase is Phase.ENDED:
        return f"the saga is {state.status} already"
    if state.phase is Phase.COMPENSATING:
        return "the saga is being compensated already"
    if known is not None and not (known.waits or known.status is StepStatus.OPEN):
        return f"{step} is {known.status} already"
    if isinstance(node.action, Wait):
        fails = node.action.timeout_us is not None and node.action.on_timeout is OnTimeout.FAIL
        return None if fails else f"{step} cannot fail: its wait has no time limit that fails it"
    if node.call is None:
        return f"{step} cannot fail: it only lets time pass"
    behind_gate = not plan.before(step).isdisjoint(plan.gates)
    if must_succeed(plan, state, node) or (node.call.kind is Kind.READ_ONLY and behind_gate):
        return f"{step} cannot fail: past the point of no return it is tried without bound"
    return None


class _Course:
    """One play: the state as it goes on, and what was sent so far. Never outlives the call that made it."""

    def __init__(self, plan: Plan, state: SagaState, at: int) -> None:
        self.plan = plan
        self.state = state
        self.notes: list[str] = []
        self._at = at
        self._shown_at = at
        self._waves: list[Wave] = []
        self._after: list[str] = []
        self._sent: list[tuple[SagaState, Outgoing]] = []

    def give(self, given: Input, why: str) -> Decided | Ignored | Refused:
        """Decide one input, `why` in words, and keep what it sends out for the wave under way."""
        decision = decide(self.plan, self.state, given)
        if isinstance(decision, Decided):
            self.state = decision.state
            self._after.append(why)
            self._sent += [(decision.state, sent) for sent in decision.outgoing]
        return decision

    def resume(self) -> None:
        """A suspended saga sends nothing: look on from its resumption."""
        if self.state.suspended and self.state.phase is not Phase.ENDED:
            self.notes.append("the saga is suspended: nothing is sent before it is resumed")
            self.give(Resume(self._at, SUPPOSED, SUPPOSED), "resume")

    def fail(self, step: str) -> bool:
        """Let a step that is under way fail. False while it is not."""
        self._close_wave()
        node = self.plan.nodes[step]
        for place in self.state.active:
            known, (name, item) = self.state.steps[place], split(place)
            if name != step or self.state.phase is not Phase.FORWARD:
                continue
            if isinstance(node.action, Wait) and known.due is not None:
                self._at = max(self._at, known.due)
                return isinstance(self.give(Due(self._at), f"no {node.action.event} comes for {step}"), Decided)
            if known.status.in_flight and known.forward is not None:
                reply = ReplyReceived(
                    self._at,
                    step,
                    item,
                    Direction.FORWARD,
                    known.forward.attempt,
                    1,
                    Outcome.REJECTED,
                    code=SUPPOSED,
                    message=SUPPOSED,
                )
                return isinstance(self.give(reply, f"{place} is rejected"), Decided)
        return False

    def to_its_end(self) -> Foresight:
        """Go on until the saga has ended, or nothing but an operator helps."""
        for _ in range(_MOST_WAVES):
            if not self.on():
                break
        if self._after:
            self._waves.append(self._wave())
        return Foresight(tuple(self._waves), self.state.status, tuple(self.notes))

    def on(self) -> bool:
        """Answer all that is out; else send the signal, or let the time pass, that is waited for. False: nothing is."""
        self._close_wave()
        if self.state.phase is Phase.ENDED:
            return False
        return self._answer() or self._signal() or self._pass_time()

    def _answer(self) -> bool:
        answered = False
        for place in list(self.state.active):
            step, (name, item) = self.state.steps[place], split(place)
            if step.undo is CompensationStatus.ISSUED and step.backward is not None:
                direction, attempt, why = Direction.COMPENSATE, step.backward.attempt, f"{place} is undone"
            elif step.status is StepStatus.ISSUED and step.forward is not None:
                direction, attempt, why = Direction.FORWARD, step.forward.attempt, f"{place} succeeds"
            else:
                continue
            reply = ReplyReceived(self._at, name, item, direction, attempt, 1, Outcome.SUCCEEDED)
            answered = isinstance(self.give(reply, why), Decided) or answered
        return answered

    def _signal(self) -> bool:
        for place in self.state.active:
            step = self.state.steps[place]
            if step.status is StepStatus.WAITING and step.event is not None:
                signal = Signal(self._at, f"{SUPPOSED}/{self.state.version}", step.event, None)
                return isinstance(self.give(signal, f"{step.event} comes for {place}"), Decided)
        return False

    def _pass_time(self) -> bool:
        due = next_due(self.plan, self.state, self._at)
        if due is None:
            return False
        self._at = max(self._at, due)
        return isinstance(self.give(Due(self._at), "time passes"), Decided)

    def _close_wave(self) -> None:
        """What follows now comes after what was sent; where nothing was sent, it is one more cause of the next wave."""
        if self._sent:
            self._waves.append(self._wave())
            self._shown_at, self._after, self._sent = self._at, [], []

    def _wave(self) -> Wave:
        commands = tuple(self._command(state, sent) for state, sent in self._sent if isinstance(sent, SendCommand))
        events = tuple(sent.name for _, sent in self._sent if isinstance(sent, PublishEvent))
        return Wave(tuple(self._after), self._at - self._shown_at, commands, events)

    def _command(self, state: SagaState, sent: SendCommand) -> ForeseenCommand:
        call = self.plan.nodes[sent.step].call
        step = state.steps[address(sent.step, sent.item)]
        assert call is not None
        assert step.forward is not None
        if sent.direction is Direction.FORWARD:
            participant, command, payload = call.participant, call.command, step.forward.payload
        else:
            compensation = compensation_of(self.plan.nodes[sent.step])
            assert compensation is not None
            assert step.backward is not None
            participant, command = compensation.participant, compensation.command
            payload = step.forward.payload if compensation.payload is None else step.backward.payload
        return ForeseenCommand(sent.step, sent.item, sent.direction, participant, command, payload)
