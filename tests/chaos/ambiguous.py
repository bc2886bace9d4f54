"""Commits whose outcome nobody tells, half of them applied: nothing is lost, nothing is there twice.

Owns the two workloads, an event store with two writers and a participant's inbox, and the count of what came of them.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Engine, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.core.inputs import Outcome
from saga_engine.envelope import Command
from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import Append, Appended, Conflict, KeyTaken
from saga_engine.sql.engine import open_engine
from saga_engine.sql.pacing import pace
from saga_engine.sql.schema import events, inbox_tables, keys
from saga_engine.testing.store_samples import Samples, advance, started
from tests.databases import Database
from tests.integration.participant.ledger import effects, metadata
from tests.integration.participant.payments import Payment
from tests.integration.sql.faults import APPLIED, Fault, FaultyCommits
from tests.unit.participant.support import compensation, forward

AMBIGUOUS: Final = (
    Fault.UNKNOWN_APPLIED,
    Fault.UNKNOWN_NOT_APPLIED,
    Fault.LOST_APPLIED,
    Fault.LOST_NOT_APPLIED,
)
WRITERS: Final = 2
_CHANCE: Final = 0.5
_CONTENDED: Final = 20
_BATCH: Final = 6
_UNDONE_EVERY: Final = 4


class Hurry:
    """`Pacing` without pauses: what we injected is over at once, and to wait for it is most of the time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def pause(self, longest: float) -> None:
        """Go on."""


def hurried(engine: Engine) -> Engine:
    """The same, without pauses, and without syncing SQLite's files, as the servers of tests do not sync theirs."""
    pace(engine, Hurry())
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_sync)
    return engine


def _without_sync(connection: DBAPIConnection, _: object) -> None:
    connection.cursor().execute("PRAGMA synchronous = OFF")


@dataclass(slots=True)
class Figures:
    """What came of it. `lost`: acknowledged, and not there as acknowledged. `doubled`: twice there, or never told."""

    acknowledged: int = 0
    refused: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0

    @property
    def ambiguous(self) -> int:
        """Commits with an unknown outcome."""
        return sum(self.faults[fault] for fault in AMBIGUOUS)

    @property
    def applied(self) -> int:
        """How many of those were applied."""
        return sum(self.faults[fault] for fault in APPLIED)

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.acknowledged + other.acknowledged,
            self.refused + other.refused,
            self.faults + other.faults,
            self.lost + other.lost,
            self.doubled + other.doubled,
        )


@dataclass(slots=True)
class _Told:
    """What a writer was told: of which version of a saga it wrote which text, and whose key it got."""

    written: dict[tuple[UUID, int], str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    keys: dict[str, UUID] = field(default_factory=dict)


class _Writer:
    """Appends to the same sagas as the other, and begins sagas with the same keys, through an engine of its own."""

    def __init__(self, name: str, database: Database, seed: int, sagas: Sequence[UUID]) -> None:
        self.told = _Told()
        self._name = name
        self._engine = hurried(open_engine(database.url))
        self._store = SqlEventStore(self._engine, isolation=database.isolation)
        self.faults = FaultyCommits(self._engine, seed, _CHANCE, AMBIGUOUS)
        self._chance = random.Random(seed)
        self._known = dict.fromkeys(sagas, 1)
        self._samples = Samples()
        self._round = 0

    def write(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self._one_batch()
        self.faults.stop()
        self._store.close()

    def _one_batch(self) -> None:
        self._round += 1
        text = f"{self._name}-{self._round}"
        chosen = self._chance.sample(sorted(self._known), _BATCH)
        key = f"key-{self._round}"
        batch: list[Append] = [advance(saga, self._known[saga], text=text) for saga in chosen]
        if self._round % 2:
            batch.append(self._samples.start(key=key))
        outcomes = self._store.append(batch)
        for append, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Appended(version) if append.new is None:
                    self._known[append.stream_id] = version
                    self.told.written[append.stream_id, version] = text
                case Appended():
                    self.told.keys[key] = append.stream_id
                case Conflict():
                    self.told.refused.add(f"{append.stream_id}/{text}")
                case KeyTaken(holder):
                    self.told.keys[key] = holder
        self._known |= self._store.versions(chosen)


def at_the_store(database: Database, commits: int, seed: int) -> Figures:
    """Two writers on one event store, until there were that many ambiguous commits."""
    with database.engine() as engine:
        sagas = started(SqlEventStore(engine), *(Samples().start(key=f"contended-{n}") for n in range(_CONTENDED)))
    writers = [_Writer(f"w{n}", database, seed + n, sagas) for n in range(WRITERS)]

    def enough() -> bool:
        return sum(writer.faults.counts[fault] for writer in writers for fault in AMBIGUOUS) >= commits

    with ThreadPoolExecutor(WRITERS) as threads:
        for writing in [threads.submit(writer.write, enough) for writer in writers]:
            writing.result()
    figures = Figures()
    for writer in writers:
        figures.faults += writer.faults.counts
    with database.engine() as engine:
        _compare(engine, [writer.told for writer in writers], figures)
    return figures


def _compare(engine: Engine, told: Sequence[_Told], figures: Figures) -> None:
    with engine.connect() as connection:
        found = connection.execute(select(events.c.stream_id, events.c.version, events.c.data)).all()
        holders = {row.key: row.stream_id for row in connection.execute(select(keys.c.key, keys.c.stream_id))}
    texts = {(row.stream_id, row.version): str(json.loads(row.data)["text"]) for row in found}
    times = Counter(f"{row.stream_id}/{texts[row.stream_id, row.version]}" for row in found if row.version > 1)
    for one in told:
        figures.acknowledged += len(one.written) + len(one.keys)
        figures.refused += len(one.refused)
        figures.lost += sum(texts.get(place) != text for place, text in one.written.items())
        figures.lost += sum(holders.get(key) != saga for key, saga in one.keys.items())
        figures.doubled += sum(refused in times for refused in one.refused)
    figures.doubled += sum(count > 1 for count in times.values())
    # An event that nobody was told of would be a second one, too.
    figures.doubled += sum(times.values()) - sum(len(one.written) for one in told)


def at_the_inbox(database: Database, commits: int, seed: int) -> Figures:
    """Commands, and compensations of some, each repeated until it is answered, until there were that many."""
    figures = Figures()
    with database.engine() as engine:
        hurried(engine)
        inbox_tables.create_all(engine, checkfirst=True)
        metadata.create_all(engine, checkfirst=True)
        faults = FaultyCommits(engine, seed, _CHANCE, AMBIGUOUS)
        payment = Payment(engine)
        expected: Counter[tuple[str, str]] = Counter()
        while sum(faults.counts[fault] for fault in AMBIGUOUS) < commits:
            command = forward()
            saga = str(command.address.saga_id)
            _until_answered(payment, command)
            expected[saga, "debit"] += 1
            figures.acknowledged += 1
            if figures.acknowledged % _UNDONE_EVERY == 0:
                _until_answered(payment, compensation(command))
                expected[saga, "refund"] += 1
        faults.stop()
        figures.faults += faults.counts
        with engine.connect() as connection:
            rows = connection.execute(select(effects.c.saga_id, effects.c.kind))
            there = Counter((row.saga_id, row.kind) for row in rows)
    figures.lost += (expected - there).total()
    figures.doubled += (there - expected).total()
    return figures


def _until_answered(payment: Payment, command: Command) -> None:
    while True:
        try:
            answer = payment.run(command)
        except StoreUnavailableError:
            continue
        assert answer.outcome is Outcome.SUCCEEDED, answer
        return
