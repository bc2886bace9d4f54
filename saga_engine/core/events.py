"""The facts of a saga's stream, past tense, as a closed union.

Owns their shapes. Every event carries `at`, the store's time in microseconds; versions and storage are the envelope's.
A field that is added later needs a default: streams of earlier releases must still fold.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from saga_engine.definition.model import Json
from saga_engine.immutable import dataclass


class Direction(StrEnum):
    """Whether a command does a step or undoes it."""

    FORWARD = "forward"
    COMPENSATE = "compensate"


class Effect(StrEnum):
    """What a compensation found: something to undo, or nothing."""

    UNDONE = "undone"
    NONE = "none"


class Verb(StrEnum):
    """What an operator may do to a saga, beyond signal, cancel, suspend and resume, which have events of their own."""

    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class SagaStarted:
    at: int
    saga: str
    definition_version: int
    definition_hash: str
    key: str
    generation: int
    input: Json
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class CommandIssued:
    """An attempt: a decision, counted. `payload` stands with the first attempt; later ones send the same."""

    at: int
    step: str
    direction: Direction
    attempt: int
    item: int | None = None
    payload: Json = None


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """A reply, or the end of a wait. For a `for_each` step as a whole `item` is None and its results are its items'."""

    at: int
    step: str
    item: int | None = None
    result: Json = None
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class StepRejected:
    """Definitely without effect, final."""

    at: int
    step: str
    code: str
    message: str
    item: int | None = None
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt failed, effect unknown. `retry_at` None: no further attempt; the outcome of the step is unknown."""

    at: int
    step: str
    attempt: int
    code: str
    message: str
    retry_at: int | None
    item: int | None = None
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class StepGivenUp:
    """No longer waited for; outcome unknown, and compensated as if it had been done."""

    at: int
    step: str
    code: str
    message: str
    item: int | None = None


@dataclass(frozen=True, slots=True)
class StepSkipped:
    at: int
    step: str


@dataclass(frozen=True, slots=True)
class ItemsFixed:
    """The items of a `for_each` step, fixed for ever."""

    at: int
    step: str
    items: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class TimerSet:
    """A `sleep`, or a `wait` for `event` (`due` None: no time limit).

    Or the time until a step of unknown outcome, which no inbox protects, cannot run any more.
    """

    at: int
    step: str
    due: int | None
    event: str | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class TimerFired:
    at: int
    step: str
    item: int | None = None


@dataclass(frozen=True, slots=True)
class SignalReceived:
    at: int
    signal_id: str
    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class CompensationBegan:
    """From here no forward command is issued or sent again. The first failure of the stream, or the engine's own."""

    at: int
    step: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class StepCompensated:
    at: int
    step: str
    effect: Effect
    item: int | None = None


@dataclass(frozen=True, slots=True)
class CompensationFailed:
    """An attempt at a compensation failed. `retry_at` None: exhausted; StepBlocked or the next step follows."""

    at: int
    step: str
    attempt: int
    code: str
    message: str
    retry_at: int | None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class StepBlocked:
    """A compensation is exhausted: an operator is needed."""

    at: int
    step: str
    code: str
    message: str
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Suspended:
    at: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Resumed:
    at: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody asked to end the saga. `accepted` False: past the point of no return, recorded and refused."""

    at: int
    who: str
    why: str
    accepted: bool = True


@dataclass(frozen=True, slots=True)
class OperatorActed:
    """A person retried, skipped or resolved a blocked compensation."""

    at: int
    verb: Verb
    step: str
    who: str
    why: str
    item: int | None = None


@dataclass(frozen=True, slots=True)
class SagaCompleted:
    """`output_error`: why the output expression has no value. A saga that is done stays done."""

    at: int
    output: Json = None
    output_error: str | None = None


@dataclass(frozen=True, slots=True)
class SagaCompensated:
    at: int


@dataclass(frozen=True, slots=True)
class SagaClosed:
    """Ended, but not everything was undone: a compensation was skipped or exhausted with `on_exhausted: continue`."""

    at: int


Event: TypeAlias = (
    SagaStarted
    | CommandIssued
    | StepSucceeded
    | StepRejected
    | StepFailed
    | StepGivenUp
    | StepSkipped
    | ItemsFixed
    | TimerSet
    | TimerFired
    | SignalReceived
    | CompensationBegan
    | StepCompensated
    | CompensationFailed
    | StepBlocked
    | Suspended
    | Resumed
    | CancelRequested
    | OperatorActed
    | SagaCompleted
    | SagaCompensated
    | SagaClosed
)
