"""What may happen to a saga from outside, as a closed union. Time comes in with every input, in microseconds.

Owns their shapes. What follows from an input is the decider's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from saga_engine.core.events import Direction, Effect, Verb
from saga_engine.definition.model import Json
from saga_engine.immutable import dataclass


class Outcome(StrEnum):
    """What a reply says. No reply at all is the fourth case: unknown."""

    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Start:
    """Begin the saga. The input has passed its schema, defaults filled in."""

    at: int
    definition_hash: str
    key: str
    generation: int
    input: Json
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A participant answered. Its token, participant and saga were checked before."""

    at: int
    step: str
    item: int | None
    direction: Direction
    attempt: int
    send: int
    outcome: Outcome
    result: Json = None
    code: str = ""
    message: str = ""
    effect: Effect = Effect.UNDONE
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """Time has passed: fire what is due, give up what is over its limit."""

    at: int


@dataclass(frozen=True, slots=True)
class Signal:
    """News from outside, taken once per `signal_id`."""

    at: int
    signal_id: str
    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class Cancel:
    """End early: what was done is compensated; past the point of no return it is recorded and refused."""

    at: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Suspend:
    """Send nothing until a `Resume`. Replies and signals are recorded meanwhile; the saga's time-out runs on."""

    at: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a `Suspend`: what came meanwhile counts, and timers that came due fire."""

    at: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Operate:
    """An operator's verb on blocked compensations: on one step (and item), or with `step` None on all of them."""

    at: int
    verb: Verb
    who: str
    why: str
    step: str | None = None
    item: int | None = None


Input: TypeAlias = Start | ReplyReceived | Due | Signal | Cancel | Suspend | Resume | Operate
