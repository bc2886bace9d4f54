"""Records dealt out to the sagas they concern: from a history in one row to slices that can be judged.

Owns which record belongs where. Holds everything in memory; a production store is read page by page instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from saga_engine.audit.case import SagaHistory, Surroundings
from saga_engine.audit.check import History
from saga_engine.audit.definitions import known_definition
from saga_engine.audit.history import Kept, Looked, Record, Rest, Section
from saga_engine.audit.records.clients import ClientAnswered, ClientCalled
from saga_engine.audit.records.messages import Delivered, Published
from saga_engine.audit.records.participants import Balance, InboxRow, LedgerRow, LockHeld
from saga_engine.audit.records.stored import DefinitionRow, InputDecided, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.audit.records.surroundings import Fault, ProcessChanged, Remainder


class Grouper:
    """Takes records in any order, and gives the history that they make."""

    def __init__(self, sections: Iterable[Section] = ()) -> None:
        self._sagas: dict[UUID, SagaHistory] = {}
        self._sections: set[Section] = set(sections)
        self._definitions: dict[str, DefinitionRow] = {}
        self._calls: list[ClientCalled] = []
        self._answers: list[ClientAnswered] = []
        self._balances: list[Balance] = []
        self._remainders: list[Remainder] = []
        self._rest: int | None = None
        self._now: int | None = None

    def add(self, record: Record) -> None:
        """Take one record."""
        match record:
            case Published() | Delivered() | InputDecided() | LockHeld() | LedgerRow() | InboxRow():
                self._of_saga(record)
            case StoredEvent() | StreamRow() | SnapshotRow() | KeyRow():
                self._stored(record)
            case Fault() | ProcessChanged():
                # For whoever reads the history: no invariant is judged by them.
                pass
            case _:
                self._common(record)

    def history(self) -> History:
        """What the records so far make."""
        around = Surroundings(
            sections=frozenset(self._sections),
            definition={row.hash: known_definition(row) for row in self._definitions.values()}.get,
            sagas={
                saga_id: 1 if saga.row is None else saga.row.head.generation
                for saga_id, saga in self._sagas.items()
                if saga.stored
            },
            calls=self._calls,
            answers=self._answers,
            balances=self._balances,
            remainders=self._remainders,
            rest=self._rest,
            now=self._now,
        )
        return History([self._sagas[saga_id] for saga_id in sorted(self._sagas)], around)

    def _saga(self, saga_id: UUID) -> SagaHistory:
        if saga_id not in self._sagas:
            self._sagas[saga_id] = SagaHistory(saga_id)
        return self._sagas[saga_id]

    def _of_saga(self, record: Published | Delivered | InputDecided | LockHeld | LedgerRow | InboxRow) -> None:
        if record.saga_id is None:
            return
        saga = self._saga(record.saga_id)
        match record:
            case Published():
                saga.published.append(record)
            case Delivered():
                saga.delivered.append(record)
            case InputDecided():
                saga.inputs.append(record)
            case LockHeld():
                saga.locks.append(record)
            case LedgerRow():
                saga.ledger.append(record)
            case InboxRow():
                saga.inbox.append(record)

    def _stored(self, record: StoredEvent | StreamRow | SnapshotRow | KeyRow) -> None:
        saga = self._saga(record.saga_id)
        match record:
            case StoredEvent():
                saga.stored.append(record)
            case StreamRow():
                saga.row = record
            case SnapshotRow():
                saga.snapshot = record
            case KeyRow():
                saga.key = record

    def _common(
        self,
        record: Kept | DefinitionRow | ClientCalled | ClientAnswered | Balance | Remainder | Looked | Rest,
    ) -> None:
        match record:
            case Kept():
                self._sections |= set(record.sections)
            case DefinitionRow():
                self._definitions[record.hash] = record
            case ClientCalled():
                self._calls.append(record)
            case ClientAnswered():
                self._answers.append(record)
            case Balance():
                self._balances.append(record)
            case Remainder():
                self._remainders.append(record)
            case Looked():
                self._now = record.at
            case Rest():
                self._rest = record.at


def group(records: Iterable[Record], sections: Iterable[Section] = ()) -> History:
    """The history that these records make. `sections`: what they keep, besides what they say themselves (`Kept`)."""
    grouper = Grouper(sections)
    for record in records:
        grouper.add(record)
    return grouper.history()
