"""The engine's own: its stored rows, and the inputs that it decided on. Knows no file and no checker."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from saga_engine.envelope import StreamHead


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of a stream, as stored: `data` is the JSON text. `order`: when it was committed."""

    saga_id: UUID
    version: int
    type: str
    data: str
    at: int
    batch_id: UUID | None = None
    order: int | None = None


@dataclass(frozen=True, slots=True)
class StreamRow:
    """The row of a saga, as stored."""

    head: StreamHead

    @property
    def saga_id(self) -> UUID:
        return self.head.stream_id


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot, as stored: `data` is the JSON text."""

    saga_id: UUID
    version: int
    data: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """Which saga a business key belongs to."""

    saga: str
    key: str
    generation: int
    saga_id: UUID
    input_hash: str


@dataclass(frozen=True, slots=True)
class DefinitionRow:
    """A stored definition: `content` is its canonical JSON, `hash` the SHA-256 of that."""

    hash: str
    saga: str
    content: str


@dataclass(frozen=True, slots=True)
class InputDecided:
    """An input that was decided on, as `inputs.encode_input` writes it, and the version of the state before.

    Recorded at the decision: its commit may have been lost.
    """

    saga_id: UUID
    version: int
    input: str
    order: int | None = None
