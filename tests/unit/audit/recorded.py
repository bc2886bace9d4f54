"""A whole engine in memory whose every port is recorded: how the good histories are made.

Owns the recording around `saga_engine.testing`. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.audit.case import SagaHistory
from saga_engine.audit.check import History
from saga_engine.audit.grouping import group
from saga_engine.audit.history import Looked, Record, Rest, Section
from saga_engine.audit.inputs import encode_input
from saga_engine.audit.recording import inbox_rows, published
from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.audit.records.stored import InputDecided, StoredEvent
from saga_engine.audit.rows import stored_records
from saga_engine.core.decider import Decision, decide
from saga_engine.core.events import Direction
from saga_engine.core.inputs import Input
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.definition.model import Call
from saga_engine.envelope import Message, parse_key
from saga_engine.orchestrator import transact
from saga_engine.participant.context import Context
from saga_engine.participant.registry import Participant
from saga_engine.ports.store import Append, Appended, AppendOutcome
from saga_engine.testing.sources import Source, load
from saga_engine.testing.system import SagaSystem

KEPT = frozenset(Section) - {Section.CLIENTS, Section.BALANCES, Section.LOCKS, Section.REMAINDERS, Section.REST}
LEDGER = Table(
    "ledger",
    MetaData(),
    Column("number", Integer, primary_key=True),
    Column("key", Text, nullable=False),
    Column("order", Integer, nullable=False),
)


class Recorded:
    """A system whose messages, commits, decisions and effects are recorded."""

    def __init__(self, system: SagaSystem, monkeypatch: pytest.MonkeyPatch, orders: Iterator[int]) -> None:
        self.system = system
        self._orders = orders
        self._committed: dict[tuple[object, int], int] = {}
        self._records: list[Record] = []
        engine = system._engine
        self._engine = engine
        self._store: SqlEventStore = engine.store
        append, store = self._store.append, engine.broker.store

        def recorded_append(appends: Sequence[Append]) -> Sequence[AppendOutcome]:
            outcomes = append(appends)
            for each, outcome in zip(appends, outcomes, strict=True):
                if isinstance(outcome, Appended):
                    for event in each.events:
                        self._committed[(each.stream_id, event.version)] = next(orders)
            return outcomes

        def recorded_store(message: Message) -> bool:
            order = next(orders)
            kept = store(message)
            self._records.append(published(message, engine.clock.now(), order=order, acknowledged=kept))
            return kept

        def recorded_decide(plan: Plan, state: SagaState, input: Input) -> Decision:
            self._records.append(InputDecided(state.saga_id, state.version, encode_input(input), next(orders)))
            return decide(plan, state, input)

        monkeypatch.setattr(self._store, "append", recorded_append)
        monkeypatch.setattr(engine.broker, "store", recorded_store)
        monkeypatch.setattr(transact, "decide", recorded_decide)

    def history(self, *, at_rest: bool = True) -> History:
        """What was recorded so far; `at_rest`: after enough time for a saga that has ended to be settled."""
        if at_rest:
            self.system.advance("10m")
        records = [*self._records, *self._stored(), *self._at_participants(), Looked(self._store.now())]
        if at_rest:
            records.append(Rest(self._store.now()))
        return group(records, KEPT | {Section.REST} if at_rest else KEPT)

    def saga(self) -> SagaHistory:
        """The slice of the only saga."""
        (saga,) = self.history().sagas
        return saga

    def _stored(self) -> Iterator[Record]:
        for record in stored_records(self._store):
            if isinstance(record, StoredEvent):
                order = self._committed[(record.saga_id, record.version)]
                yield StoredEvent(
                    record.saga_id, record.version, record.type, record.data, record.at, record.batch_id, order
                )
            else:
                yield record

    def _at_participants(self) -> Iterator[Record]:
        for name, database in self._engine.databases.items():
            with database.connect() as connection:
                yield from inbox_rows(name, connection)
                for _, key, order in connection.execute(select(LEDGER).order_by(LEDGER.c.number)):
                    yield _ledger_row(name, key, order)


def _ledger_row(participant: str, key: str, order: int) -> LedgerRow:
    place = parse_key(key)
    assert place is not None
    kind = LedgerKind.EFFECT if place.direction is Direction.FORWARD else LedgerKind.COMPENSATION
    return LedgerRow(participant, key, place.saga_id, place.step, place.item, place.direction, kind, 0, order)


@contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch, *sources: Source) -> Iterator[Recorded]:
    """The system of these definitions, recorded."""
    definitions = [load(source) for source in sources]
    orders = count(1)
    names: dict[str, set[str]] = {}
    for definition in definitions:
        for step in definition.steps:
            if isinstance(step.action, Call):
                for target in (step.action, step.action.compensation):
                    if target is not None:
                        names.setdefault(target.participant, set()).add(target.command)
    participants = [_participant(name, sorted(commands), orders) for name, commands in names.items()]
    with SagaSystem(*definitions, participants=participants) as system:
        for name in names:
            LEDGER.create(system.database(name))
        yield Recorded(system, monkeypatch, orders)


def _participant(name: str, commands: Sequence[str], orders: Iterator[int]) -> Participant:
    participant = Participant(name)
    for command in commands:

        def handler(ctx: Context, payload: object) -> dict[str, str]:
            ctx.db.execute(insert(LEDGER).values(key=ctx.idempotency_key, order=next(orders)))
            return {}

        participant.command(command)(handler)
    return participant
