"""One saga as it is judged: its slice of a history, its events decoded, its definition's plan, and what surrounds it.

Owns what a checker is given. Judges nothing itself, so that a broken stream is a case like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from uuid import UUID

from saga_engine.audit.course import Course, course_of
from saga_engine.audit.history import Section
from saga_engine.audit.records.clients import ClientAnswered, ClientCalled
from saga_engine.audit.records.messages import Delivered, Published
from saga_engine.audit.records.participants import Balance, InboxRow, LedgerRow, LockHeld
from saga_engine.audit.records.stored import InputDecided, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.audit.records.surroundings import Remainder
from saga_engine.codec import UnknownEventError, decode_event
from saga_engine.core.events import Event
from saga_engine.core.evolve import evolve
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.envelope import EventRecord

UNFOLDABLE: Final = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What `evolve` raises for an event about something that never was, or whose fields are not what they should be."""


@dataclass(slots=True)
class SagaHistory:
    """Everything in a history that concerns one saga, each kind in the order in which it was recorded."""

    saga_id: UUID
    row: StreamRow | None = None
    key: KeyRow | None = None
    snapshot: SnapshotRow | None = None
    stored: list[StoredEvent] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    ledger: list[LedgerRow] = field(default_factory=list)
    inbox: list[InboxRow] = field(default_factory=list)
    inputs: list[InputDecided] = field(default_factory=list)
    locks: list[LockHeld] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KnownDefinition:
    """A stored definition. `sound`: its content has the hash it is stored under. `plan` None: it cannot be read."""

    hash: str
    saga: str
    sound: bool
    plan: Plan | None


@dataclass(slots=True)
class Surroundings:
    """What belongs to no single saga. `definition` finds one by hash; `sagas`: the generation of each saga.

    `now`: when the rows were read, on the store's clock; `rest`: when the system was at rest, after all faults.
    """

    sections: frozenset[Section]
    definition: Callable[[str], KnownDefinition | None] = lambda _hash: None
    sagas: Mapping[UUID, int] = field(default_factory=dict)
    calls: Sequence[ClientCalled] = ()
    answers: Sequence[ClientAnswered] = ()
    balances: Sequence[Balance] = ()
    remainders: Sequence[Remainder] = ()
    rest: int | None = None
    now: int | None = None


class Case:
    """One saga to be judged. What is derived is made once, and only when a checker asks for it."""

    def __init__(self, saga: SagaHistory, around: Surroundings) -> None:
        self.saga = saga
        self.around = around

    @cached_property
    def stored(self) -> Sequence[StoredEvent]:
        """The events by version."""
        return sorted(self.saga.stored, key=lambda event: event.version)

    @cached_property
    def _decoded(self) -> tuple[Sequence[Event], str | None]:
        events: list[Event] = []
        for row in self.stored:
            try:
                record = EventRecord(row.version, row.type, row.data.encode(), row.at)
                events.append(decode_event(record))
            except UnknownEventError as error:
                return events, str(error)
        return events, None

    @property
    def events(self) -> Sequence[Event]:
        """The events, decoded, up to the first that cannot be read."""
        return self._decoded[0]

    @property
    def unreadable(self) -> str | None:
        """Why the event after those cannot be read."""
        return self._decoded[1]

    @cached_property
    def plan(self) -> Plan | None:
        """The plan of the definition that its row, or else its first event, names; None: it is not there."""
        if self.saga.row is not None:
            named = self.saga.row.head.definition_hash
        else:
            named = self.course.started.definition_hash if self.course.started is not None else ""
        known = self.around.definition(named)
        return None if known is None else known.plan

    @cached_property
    def course(self) -> Course:
        """What happened at each of its steps."""
        return course_of([event.version for event in self.stored], self.events)

    @cached_property
    def states(self) -> Sequence[SagaState]:
        """The fold after each event, up to the first that cannot be folded."""
        states: list[SagaState] = []
        state = SagaState(self.saga.saga_id)
        for event in self.events:
            try:
                state = evolve(state, event)
            except UNFOLDABLE:
                break
            states.append(state)
        return states

    @property
    def folded(self) -> SagaState | None:
        """The fold of the whole stream; None when it cannot be read or folded to its end."""
        whole = self.states and len(self.states) == len(self.stored)
        return self.states[-1] if whole else None
