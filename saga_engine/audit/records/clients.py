"""What clients asked for, and what they were told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ClientVerb(StrEnum):
    START = "start"
    SIGNAL = "signal"
    CANCEL = "cancel"
    SUSPEND = "suspend"
    RESUME = "resume"
    RETRY = "retry"
    SKIP = "skip"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class ClientCalled:
    """A client asked for something. Of a start `saga`, `key` and `input_hash` are known, of a verb `saga_id`."""

    call_id: str
    verb: ClientVerb
    at: int
    order: int | None = None
    saga: str = ""
    key: str = ""
    input_hash: str = ""
    saga_id: UUID | None = None
    signal_id: str = ""


class ClientAnswer(StrEnum):
    """What a client was told. A call without an answer may or may not have been done."""

    DONE = "done"
    """Acknowledged: of a start, this call began the saga."""
    EXISTING = "existing"
    """There was such a saga, with the same input."""
    CONFLICT = "conflict"
    """The key belongs to a saga with another input."""
    REFUSED = "refused"
    TROUBLE = "trouble"
    """The store could not be reached: done or not."""


@dataclass(frozen=True, slots=True)
class ClientAnswered:
    """What came of a call."""

    call_id: str
    answer: ClientAnswer
    at: int
    order: int | None = None
    saga_id: UUID | None = None
