"""What participants did and kept: effects, inbox rows, and the business rows at rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from saga_engine.core.events import Direction, Effect


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
