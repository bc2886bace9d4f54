"""What is known of a saga, as data: its state, that of its steps, and the statuses that are shown of both.

Owns the shapes and what can be read off them. How an event changes them is `evolve`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final
from uuid import UUID

from saga_engine.definition.model import Json
from saga_engine.immutable import dataclass


class Phase(StrEnum):
    NEW = "new"
    FORWARD = "forward"
    COMPENSATING = "compensating"
    ENDED = "ended"


class Status(StrEnum):
    """What is shown of a saga; derived from phase, suspension and blocked steps."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    CLOSED = "closed"

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self in (Status.COMPLETED, Status.COMPENSATED, Status.CLOSED)


class StepStatus(StrEnum):
    """The forward side of a step, or of one item of a `for_each` step."""

    OPEN = "open"
    """A `for_each` step whose items are under way."""
    ISSUED = "issued"
    RETRYING = "retrying"
    SLEEPING = "sleeping"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    TIMED_OUT = "timed_out"
    """A `wait` that ran out of time and lets the saga go on."""
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    """Past the point of no return, and its expression has no value: an operator is needed."""

    @property
    def in_flight(self) -> bool:
        """A command is out, or was and will be again."""
        return self in _IN_FLIGHT


# Python 3.11 takes 0.1 µs to find a member in its enum, ten times as long as a name of the module.
_IN_FLIGHT: Final = (StepStatus.ISSUED, StepStatus.RETRYING)
_BLOCKED: Final = StepStatus.BLOCKED
_WAITING: Final = (StepStatus.ISSUED, StepStatus.RETRYING, StepStatus.SLEEPING, StepStatus.WAITING)

CLOSED: Final = (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.TIMED_OUT)
"""What satisfies the `needs` of other steps."""


class CompensationStatus(StrEnum):
    """The compensating side of a step, or of one item."""

    ISSUED = "issued"
    RETRYING = "retrying"
    UNDONE = "undone"
    NOTHING = "nothing"
    """The compensation found no effect."""
    RESOLVED = "resolved"
    """A person has undone it."""
    BLOCKED = "blocked"
    EXHAUSTED = "exhausted"
    """Given up by `on_exhausted: continue`; the effect stands."""
    SKIPPED = "skipped"
    """Given up by an operator; the effect stands."""

    @property
    def in_flight(self) -> bool:
        return self in (CompensationStatus.ISSUED, CompensationStatus.RETRYING)

    @property
    def settled(self) -> bool:
        """Nothing more will be done about it: what must wait for it may go on."""
        return not self.in_flight and self is not CompensationStatus.BLOCKED

    @property
    def effect_stands(self) -> bool:
        return self in (CompensationStatus.EXHAUSTED, CompensationStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one command is: first issue, latest attempt and its time, when the next attempt follows.

    `spent`: attempts up to this one, and time up to `since`, no longer count against its limits (an operator asked for
    a retry).
    """

    first_at: int
    attempt: int
    at: int
    payload: Json
    since: int
    retry_at: int | None = None
    spent: int = 0


@dataclass(frozen=True, slots=True)
class StepState:
    """A step that was opened, or one item of it. `ended_at`: when its forward outcome became known or given up.

    Of a `for_each` step as a whole: the fixed `items`, and how many of them were issued, succeeded, and failed.
    """

    status: StepStatus
    forward: Progress | None = None
    undo: CompensationStatus | None = None
    """How its compensation stands, None before that is begun. A stored name: snapshots keep the fields as called."""
    backward: Progress | None = None
    result: Json = None
    code: str = ""
    message: str = ""
    fenced: bool | None = None
    opened_at: int = 0
    ended_at: int = 0
    due: int | None = None
    event: str | None = None
    items: tuple[Json, ...] | None = None
    items_issued: int = 0
    items_succeeded: int = 0
    items_failed: int = 0

    @property
    def waits(self) -> bool:
        """A reply or a time is waited for."""
        return self.status in _WAITING or self.due is not None or (self.undo is not None and self.undo.in_flight)

    @property
    def needs_operator(self) -> bool:
        return self.status is _BLOCKED or (self.undo is not None and self.undo is CompensationStatus.BLOCKED)

    @property
    def may_have_effect(self) -> bool:
        """Done, or unknown, which counts as done."""
        return self.status in (StepStatus.SUCCEEDED, StepStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Failure:
    """The first failure of the stream. `step` None: the saga as a whole (cancelled, timed out)."""

    step: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class PendingSignal:
    signal_id: str
    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class SagaState:
    """The fold of a stream. `steps` is keyed by address: the step, for an item `step/<i>`.

    `active` are the addresses that wait for a reply or a time, in the order in which they began; `closed` counts the
    steps that a join may count as done; `blocked` are addresses that need an operator.
    """

    saga_id: UUID
    phase: Phase = Phase.NEW
    version: int = 0
    saga: str = ""
    definition_version: int = 0
    definition_hash: str = ""
    key: str = ""
    generation: int = 1
    input: Json = None
    traceparent: str | None = None
    started_at: int = 0
    compensation_began_at: int | None = None
    ended_at: int | None = None
    ended_as: Status | None = None
    output: Json = None
    failure: Failure | None = None
    suspended: bool = False
    cancel_requested: bool = False
    steps: Mapping[str, StepState] = field(default_factory=dict)
    active: Mapping[str, None] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()
    closed: int = 0
    signals: tuple[PendingSignal, ...] = ()
    signal_ids: frozenset[str] = frozenset()

    @property
    def status(self) -> Status:
        """What is shown of it: how it ended, else suspended before blocked before compensating."""
        if self.ended_as is not None:
            return self.ended_as
        if self.suspended:
            return Status.SUSPENDED
        if self.blocked:
            return Status.BLOCKED
        return Status.COMPENSATING if self.phase is Phase.COMPENSATING else Status.RUNNING


def address(step: str, item: int | None) -> str:
    """The key of a step, or of one item of it, in `SagaState.steps`."""
    return step if item is None else f"{step}/{item}"


def split(place: str) -> tuple[str, int | None]:
    """The step and item of an address. The last part is a number for an item, a name for a child's step."""
    step, _, last = place.rpartition("/")
    return (step, int(last)) if last.isdecimal() else (place, None)
