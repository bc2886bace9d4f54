"""What happened around sagas, as records: stored rows, the wire, effects, faults, clients, processes. A closed union.

Owns the shapes only. Knows no file, no checker, and not who records: a simulation, a chaos harness or an audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import StreamHead


class Section(StrEnum):
    """What a recorder keeps completely, so that what is absent did not happen. Everything else is not judged."""

    STREAMS = "streams"
    """`StoredEvent` and `StreamRow` of every saga, whole."""
    BATCHES = "batches"
    """`StoredEvent.batch_id` is set."""
    SNAPSHOTS = "snapshots"
    DEFINITIONS = "definitions"
    KEYS = "keys"
    WIRE = "wire"
    """Every message that the transport port was handed, genuine or planted."""
    DELIVERIES = "deliveries"
    LEDGER = "ledger"
    INBOX = "inbox"
    FAULTS = "faults"
    CLIENTS = "clients"
    PROCESSES = "processes"
    INPUTS = "inputs"
    BALANCES = "balances"
    LOCKS = "locks"
    REMAINDERS = "remainders"
    NOW = "now"
    """`Looked` says when the stored rows were read."""
    REST = "rest"
    """The faults were stopped, and the sagas were given the time that their policies may take."""
    ORDER = "order"
    """`order` is set on every record that has one, from one counter: a total order of all that happened."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The sections that the recorder keeps. Of a history in several files each says its own."""

    sections: tuple[Section, ...]


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


class Carried(StrEnum):
    """What a message carries."""

    COMMAND = "command"
    REPLY = "reply"
    EVENT = "event"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Published:
    """A message that the transport port was handed by `process`, or, with `forged`, that was planted on the wire.

    `name` is the command or the domain event; `version` the stream's event behind a domain event; `outcome`, `code`,
    `effect` and `fenced` are a reply's. `acknowledged` None: the process did not live to know. `at` is the sender's
    time, in microseconds of the store's clock. Where a message was unreadable, what it does not say is empty.
    """

    carried: Carried
    subject: str
    at: int
    order: int | None = None
    process: str = ""
    message_id: str | None = None
    saga_id: UUID | None = None
    key: str = ""
    participant: str = ""
    name: str = ""
    attempt: int = 0
    send: int = 0
    version: int = 0
    issued_at: int = 0
    deadline: int = 0
    outcome: Outcome | None = None
    code: str = ""
    effect: Effect = Effect.UNDONE
    fenced: bool = True
    body_hash: str = ""
    acknowledged: bool | None = None
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery of a message to `process`; `deliveries` counts from 1."""

    carried: Carried
    message_id: str | None
    saga_id: UUID | None
    process: str
    deliveries: int
    at: int
    order: int | None = None
    forged: bool = False


class LedgerKind(StrEnum):
    """What a test participant did in the transaction of its inbox row."""

    EFFECT = "effect"
    COMPENSATION = "compensation"
    EMPTY_COMPENSATION = "empty compensation"
    """A compensation that found nothing to undo."""
    TOMBSTONE_REFUSED = "tombstone refused"
    """A command that came after its compensation."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """An effect at a participant, written in the transaction that made it. `key` is the command's idempotency key.

    `amount` is what it did to the participant's business rows: money, stock. `order` is the row's place among those of
    this participant at least, of all with `Section.ORDER`.
    """

    participant: str
    key: str
    saga_id: UUID
    step: str
    item: int | None
    direction: Direction
    kind: LedgerKind
    at: int
    order: int
    amount: int = 0
    fenced: bool = True
    """Whether an inbox protects it: without one, a command may take effect more than once."""


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A row of a participant's inbox: `outcome` is succeeded, rejected or tombstone."""

    participant: str
    key: str
    saga_id: UUID
    outcome: str
    effect: Effect
    code: str
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the system, or to one part of it, from `at` until `until` (None: a moment)."""

    kind: str
    target: str
    at: int
    until: int | None = None
    order: int | None = None
    detail: str = ""


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


class ProcessChange(StrEnum):
    STARTED = "started"
    KILLED = "killed"
    STOPPED = "stopped"
    """On request, cleanly."""
    DIED = "died"
    """By itself: a defect."""
    PAUSED = "paused"
    CONTINUED = "continued"


@dataclass(frozen=True, slots=True)
class ProcessChanged:
    """A process of the system began, ended, was paused. `role`: orchestrator, worker, broker, database, client."""

    process: str
    role: str
    change: ProcessChange
    at: int
    order: int | None = None


@dataclass(frozen=True, slots=True)
class InputDecided:
    """An input that was decided on, as `inputs.encode_input` writes it, and the version of the state before.

    Recorded at the decision: its commit may have been lost.
    """

    saga_id: UUID
    version: int
    input: str
    order: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """The sum over a participant's business rows, before any saga (`at_rest` False) and at rest.

    `lowest` is that of its smallest row.
    """

    participant: str
    account: str
    amount: int
    lowest: int
    at_rest: bool


@dataclass(frozen=True, slots=True)
class LockHeld:
    """A semantic lock that a participant still held for a saga at rest: a row marked pending."""

    participant: str
    saga_id: UUID
    what: str


@dataclass(frozen=True, slots=True)
class Remainder:
    """How much was left at rest of what should be gone: unacknowledged messages, timers, tasks above the baseline."""

    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Looked:
    """The stored rows were read at `at`, on the store's clock."""

    at: int


@dataclass(frozen=True, slots=True)
class Rest:
    """The faults had stopped, and the sagas were given the time that their policies may take, until `at`."""

    at: int
    order: int | None = None


Record: TypeAlias = (
    Kept
    | StoredEvent
    | StreamRow
    | SnapshotRow
    | KeyRow
    | DefinitionRow
    | Published
    | Delivered
    | LedgerRow
    | InboxRow
    | Fault
    | ClientCalled
    | ClientAnswered
    | ProcessChanged
    | InputDecided
    | Balance
    | LockHeld
    | Remainder
    | Looked
    | Rest
)
