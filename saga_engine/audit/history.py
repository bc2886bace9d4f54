"""A history: records of what happened around sagas, as a closed union, and what their recorder says of them.

Owns the union and the sections that a recorder keeps. Knows no file, no checker, and not who records: a simulation, a
chaos harness or an audit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from saga_engine.audit.records.clients import ClientAnswered, ClientCalled
from saga_engine.audit.records.messages import Delivered, Published
from saga_engine.audit.records.participants import Balance, InboxRow, LedgerRow, LockHeld
from saga_engine.audit.records.stored import DefinitionRow, InputDecided, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.audit.records.surroundings import Fault, ProcessChanged, Remainder


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
