"""What may happen to a saga in a given/when/then test: replies, signals, verbs, as moves that a scenario makes.

Owns how a move becomes an input of the decider: its time and its attempt come from the saga that it is made on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from saga_engine.core.events import Direction, Effect, Verb
from saga_engine.core.inputs import Cancel, Due, Input, Operate, Outcome, ReplyReceived, Resume, Signal, Suspend
from saga_engine.core.state import SagaState, address
from saga_engine.definition.model import Json

Move: TypeAlias = Callable[[SagaState, int], Input]
"""Makes the input, given the saga as it stands and the time in microseconds."""

WHO = "a test"


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply in the making: who answers which attempt and which send, and whether an inbox stands behind it."""

    step: str
    item: int | None
    direction: Direction
    to_attempt: int | None = None
    to_send: int = 1
    fenced: bool = True

    def attempt(self, number: int) -> Answer:
        """Answer this attempt; without it, the latest one."""
        return replace(self, to_attempt=number)

    def send(self, number: int) -> Answer:
        """Answer this send of the attempt; without it, the first."""
        return replace(self, to_send=number)

    def unfenced(self) -> Answer:
        """The participant keeps no inbox."""
        return replace(self, fenced=False)

    def succeeded(self, result: Json = None, *, effect: Effect = Effect.UNDONE) -> Move:
        """Done. `effect`: for a compensation, whether there was anything to undo."""
        return self._move(Outcome.SUCCEEDED, result=result, effect=effect)

    def rejected(self, code: str, message: str = "") -> Move:
        """Definitely not done, and never will be."""
        return self._move(Outcome.REJECTED, code=code, message=message)

    def failed(self, code: str = "error", message: str = "") -> Move:
        """The attempt failed; whether it had an effect is unknown."""
        return self._move(Outcome.FAILED, code=code, message=message)

    def _move(
        self,
        outcome: Outcome,
        *,
        result: Json = None,
        code: str = "",
        message: str = "",
        effect: Effect = Effect.UNDONE,
    ) -> Move:
        def move(state: SagaState, at: int) -> ReplyReceived:
            return ReplyReceived(
                at,
                self.step,
                self.item,
                self.direction,
                self.to_attempt if self.to_attempt is not None else self._latest(state),
                self.to_send,
                outcome,
                result,
                code,
                message,
                effect,
                self.fenced,
            )

        return move

    def _latest(self, state: SagaState) -> int:
        step = state.steps.get(address(self.step, self.item))
        if step is None:
            return 1
        progress = step.forward if self.direction is Direction.FORWARD else step.backward
        return 1 if progress is None else progress.attempt


def reply(step: str, item: int | None = None) -> Answer:
    """The answer to a step's command (to that of one item of a `for_each`): `reply("debit").succeeded({...})`."""
    return Answer(step, item, Direction.FORWARD)


def compensation(step: str, item: int | None = None) -> Answer:
    """The answer to a step's compensation."""
    return Answer(step, item, Direction.COMPENSATE)


def signal(name: str, data: Json = None, *, id: str | None = None) -> Move:
    """News from outside. `id` is the sender's; without it the name is taken, which a saga takes once."""
    return lambda _state, at: Signal(at, name if id is None else id, name, data)


def cancel(why: str = "no longer wanted") -> Move:
    """An operator ends the saga early."""
    return lambda _state, at: Cancel(at, WHO, why)


def suspend(why: str = "to be looked at") -> Move:
    """An operator stops the saga: nothing is sent until it is resumed."""
    return lambda _state, at: Suspend(at, WHO, why)


def resume(why: str = "looked at") -> Move:
    """An operator lets a suspended saga go on."""
    return lambda _state, at: Resume(at, WHO, why)


def retry(step: str | None = None, item: int | None = None) -> Move:
    """An operator tries again what is blocked: one step, or all."""
    return _operate(Verb.RETRY, step, item)


def skip(step: str | None = None, item: int | None = None) -> Move:
    """An operator leaves what is blocked as it is."""
    return _operate(Verb.SKIP, step, item)


def resolve(step: str | None = None, item: int | None = None) -> Move:
    """An operator has settled by hand what is blocked."""
    return _operate(Verb.RESOLVE, step, item)


def due() -> Move:
    """The orchestrator looks whether something is due. `Scenario.after` does so by itself."""
    return lambda _state, at: Due(at)


def _operate(verb: Verb, step: str | None, item: int | None) -> Move:
    return lambda _state, at: Operate(at, verb, WHO, "by hand", step, item)
