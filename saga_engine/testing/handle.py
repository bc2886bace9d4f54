"""One saga of a system under test: what it has come to, and what people do to it.

Owns how a saga is looked at and told. Time passes through the engine that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from operator import methodcaller
from typing import Final
from uuid import UUID

from saga_engine.core.decider import Decision
from saga_engine.core.events import Event, Verb
from saga_engine.core.inputs import Cancel, Input, Operate, Resume, Signal, Suspend
from saga_engine.core.outgoing import PublishEvent
from saga_engine.core.state import Failure, SagaState, Status
from saga_engine.definition.model import Json
from saga_engine.plural import several
from saga_engine.testing.engine import InMemoryEngine, NeverEndsError
from saga_engine.testing.expectations import brief

# A failed expectation is shown at the line of the test that has it, not in here.
__tracebackhide__ = methodcaller("errisinstance", AssertionError)

WHO = "a test"
_WHY = "the test says so"
_MOST_EVENTS: Final = 100


class SagaHandle:
    """A started saga. What it is asked, it answers as of now; `ended` and `becomes` let time pass. `id`: the saga's."""

    def __init__(self, engine: InMemoryEngine, saga_id: UUID) -> None:
        self._engine = engine
        self._signals = count(1)
        self.id = saga_id

    @property
    def state(self) -> SagaState:
        """The fold of its events."""
        return self._engine.client.view(self.id).state

    @property
    def status(self) -> Status:
        """What `saga show` would say of it; it compares equal to its text: `saga.status == "running"`."""
        return self.state.status

    @property
    def events(self) -> Sequence[Event]:
        """Its events in order; the first has version 1."""
        return self._engine.client.view(self.id).events

    @property
    def history(self) -> list[str]:
        """Its events in short: `CommandIssued debit attempt 2`."""
        return [brief(event) for event in self.events]

    @property
    def emitted(self) -> Sequence[PublishEvent]:
        """The domain events that it has published, in order."""
        emitted = self._engine.client.view(self.id).emitted
        return [emitted[version] for version in sorted(emitted)]

    @property
    def output(self) -> Json:
        """What the definition's `output` came to; None before it has completed, and without one."""
        return self.state.output

    @property
    def failure(self) -> Failure | None:
        """Why it is or was compensated."""
        return self.state.failure

    def ended(self) -> Status:
        """Let time pass until it is completed, compensated or closed; which of them.

        Raises:
            AssertionError: it never ends by itself; the text says what has happened so far.
        """
        self._pass_time("to end", lambda status: status.ended)
        return self.status

    def becomes(self, status: Status | str) -> None:
        """Let time pass until it has that status.

        Raises:
            AssertionError: it never has; the text says what has happened so far.
        """
        wanted = Status(status)
        self._pass_time(f"to become {wanted}", lambda status: status is wanted)

    def signal(self, name: str, data: Json = None, *, signal_id: str | None = None) -> Decision:
        """Give it a signal, under an id of its own; what was decided on it. The same `signal_id` counts once."""
        chosen = f"signal-{next(self._signals)}" if signal_id is None else signal_id
        return self._act(lambda at: Signal(at, chosen, name, {} if data is None else data))

    def cancel(self, why: str = _WHY) -> Decision:
        """Ask it to end; what was decided on it."""
        return self._act(lambda at: Cancel(at, WHO, why))

    def suspend(self, why: str = _WHY) -> Decision:
        """Send nothing for it until it is resumed; what was decided on it."""
        return self._act(lambda at: Suspend(at, WHO, why))

    def resume(self, why: str = _WHY) -> Decision:
        """Go on with it; what was decided on it."""
        return self._act(lambda at: Resume(at, WHO, why))

    def operate(self, verb: Verb, step: str | None = None, *, item: int | None = None, why: str = _WHY) -> Decision:
        """Retry, skip or resolve a blocked step, or (None) all of them; what was decided on it."""
        return self._act(lambda at: Operate(at, verb, WHO, why, step, item))

    @property
    def course(self) -> str:
        """How it is, why, and its latest events in short with their times: several lines, for a person."""
        state, events = self.state, self.events
        begin, earlier = events[0].at, len(events) - _MOST_EVENTS
        lines = [f"  {(event.at - begin) / 1_000_000:>12.3f} s  {brief(event)}" for event in events[-_MOST_EVENTS:]]
        if earlier > 0:
            lines.insert(0, f"  {'':>14}  {several(earlier, 'earlier event')}")
        waits = ", ".join(f"{place} ({state.steps[place].status})" for place in state.active)
        how = f"saga {state.saga} {state.key} is {state.status}{f', waits for: {waits}' if waits else ''}"
        return "\n".join([how, *(f"  {why}" for why in _reasons(state)), *lines])

    def __repr__(self) -> str:
        how = ", ".join([str(self.status), *_reasons(self.state)])
        return f"<saga {self.state.saga} {self.state.key}: {how}>"

    def _act(self, input: Callable[[int], Input]) -> Decision:
        decision = self._engine.client.act(self.id, input)
        self._engine.settle()
        return decision

    def _pass_time(self, what: str, reached: Callable[[Status], bool]) -> None:
        try:
            self._engine.advance_until(self.id, reached)
        except NeverEndsError as error:
            raise AssertionError(f"waited for the saga {what}, but {error}\n{self.course}") from None


def _reasons(state: SagaState) -> Iterator[str]:
    """Why it is or was compensated, and what blocks it."""
    if state.failure is not None:
        yield _reason(state.failure.step, state.failure.code, state.failure.message)
    for place in state.blocked:
        step = state.steps[place]
        yield f"blocked at {_reason(place, step.code, step.message)}"


def _reason(step: str | None, code: str, message: str) -> str:
    return ": ".join(filter(None, ("" if step is None else f"step {step}", code, message)))
