"""The frozen model of a saga definition: what the author said, every default filled in.

Owns the shapes only. Knows nothing about YAML, files, CEL or JSON Schema; durations are integer microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What an input, a payload, a result or a setting may be."""


class Kind(StrEnum):
    """What may happen to a step once it was issued (Richardson, Microservices Patterns, ch. 4)."""

    COMPENSATABLE = "compensatable"
    PIVOT = "pivot"
    RETRIABLE = "retriable"
    READ_ONLY = "read_only"


class Jitter(StrEnum):
    """How a back-off delay is spread: `full` is uniform over zero to the computed delay."""

    NONE = "none"
    FULL = "full"


class OnExhausted(StrEnum):
    """What follows when a compensation has used up its attempts."""

    BLOCK = "block"
    CONTINUE = "continue"


class OnTimeout(StrEnum):
    """What follows when a `wait` has run out of time."""

    FAIL = "fail"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class ExpressionFailed:
    """The value of an expression that has none: a missing field, a wrong type, a limit that was passed."""

    message: str


class Expression(Protocol):
    """A value of the definition that may hold `${{ }}` anywhere in it: a scalar, a list or a mapping.

    `source` is the JSON form as written, from which the canonical definition is made. `steps` names the steps that the
    expression reads (`steps.X`), so that the caller builds only those; `roots` the roots it reads.
    """

    @property
    def source(self) -> Json: ...

    @property
    def roots(self) -> frozenset[str]: ...

    @property
    def steps(self) -> frozenset[str]: ...

    def evaluate(self, roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        """The value over `roots` (`input`, `steps`, `failure`, `saga`, an item's name). Total and deterministic."""
        ...


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed command is tried again. `maximum_attempts` counts the first try; None is without bound."""

    maximum_attempts: int | None
    initial_interval_us: int
    backoff_coefficient: float
    maximum_interval_us: int
    jitter: Jitter
    non_retryable_errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeout:
    """`reply_us`: how long to wait before asking again; `total_us`: when to give up (None: never)."""

    reply_us: int
    total_us: int | None


@dataclass(frozen=True, slots=True)
class Emit:
    """A domain event to publish. `subject` None: `saga.event.<saga>.<event>`; `data` None: the natural payload."""

    event: str
    subject: str | None
    data: Expression | None


@dataclass(frozen=True, slots=True)
class Compensation:
    """The command that semantically undoes a step. `payload` None: the forward payload is sent again."""

    participant: str
    command: str
    payload: Expression | None
    emit: Emit | None
    retry: Retry
    timeout: Timeout
    on_exhausted: OnExhausted


@dataclass(frozen=True, slots=True)
class ForEach:
    """The same call for every item of a list that is fixed when the step opens."""

    items: Expression
    as_name: str
    max_parallel: int
    tolerate: int


@dataclass(frozen=True, slots=True)
class Call:
    """A command to a participant. `compensation` None: nothing to undo (`compensate: none`, or not compensatable)."""

    participant: str
    command: str
    payload: Expression
    kind: Kind
    retry: Retry
    timeout: Timeout
    compensation: Compensation | None
    for_each: ForEach | None
    emit: Emit | None


@dataclass(frozen=True, slots=True)
class Sleep:
    """A durable timer."""

    duration_us: int


@dataclass(frozen=True, slots=True)
class WaitOn:
    """A domain event of others that counts as the signal: on which subject, and for the saga of which key."""

    subject: str
    key: Expression


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits for a signal of that name, or for a domain event (`on`). `timeout_us` None: for ever."""

    event: str
    timeout_us: int | None
    on_timeout: OnTimeout
    emit: Emit | None
    on: WaitOn | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """Another saga, run inside this one's stream. `definition` is filled in when the parent starts."""

    saga: str
    version: int | None
    payload: Expression
    definition: Definition | None


Action: TypeAlias = Call | Sleep | Wait | Child


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `needs`: names of steps of the same definition, the implicit "the one above" filled in."""

    name: str
    needs: tuple[str, ...]
    condition: Expression | None
    action: Action


@dataclass(frozen=True, slots=True)
class SagaEmit:
    """Domain events at the end of a saga, by how it ended."""

    completed: Emit | None
    compensated: Emit | None
    closed: Emit | None


@dataclass(frozen=True, slots=True)
class StartOn:
    """A domain event of others that starts a saga. `key` None: the definition's; `input` None: the event's data."""

    subject: str
    key: Expression | None
    input: Expression | None


@dataclass(frozen=True, slots=True)
class Definition:
    """A saga definition. `input_schema` is JSON Schema (None: any object); `key` None: a generated business key.

    `on` None: no event starts it.
    """

    saga: str
    version: int
    summary: str
    key: Expression | None
    input_schema: Mapping[str, Json] | None
    timeout_us: int | None
    sla_us: int | None
    output: Expression | None
    emit: SagaEmit
    steps: tuple[Step, ...]
    on: StartOn | None = None
