"""Hundreds of commits that fail or whose outcome is unknown: nothing is lost, nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

import pytest
from sqlalchemy import Engine, func, select

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.ports.store import Appended, Conflict, KeyTaken, Lease, LeaseChange, Settlement
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import events, keys, streams
from saga_engine.sql.transaction import CommitUnknownError, run_transaction
from saga_engine.testing.store_samples import Samples, advance, definition, loaded, started, versions_of
from tests.databases import Database
from tests.integration.sql.faults import Fault, FaultyCommits

CHANCE = 0.5
SAGAS, ROUNDS, REPEATS = 6, 30, 15


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine, database: Database) -> SqlEventStore:
    return SqlEventStore(engine, isolation=database.isolation)


@pytest.fixture
def faults(engine: Engine) -> Iterator[FaultyCommits]:
    faults = FaultyCommits(engine, seed=7, chance=CHANCE)
    yield faults
    faults.stop()


def texts(store: SqlEventStore, saga: UUID) -> list[bytes]:
    return [event.data for event in loaded(store, saga).events]


def test_appends_through_failing_commits_are_written_exactly_once(store: SqlEventStore, faults: FaultyCommits) -> None:
    samples = Samples()
    sagas = started(store, *(samples.start() for _ in range(SAGAS)))
    for version in range(1, ROUNDS):
        batch = [advance(saga, version, text=f"{version}") for saga in sagas]
        assert store.append(batch) == [Appended(version + 1)] * SAGAS
    for saga in sagas:
        assert versions_of(loaded(store, saga)) == [*range(1, ROUNDS + 1)]
    assert all(faults.counts[fault] > 0 for fault in Fault)


def test_losers_stay_losers_when_the_commit_is_unknown(store: SqlEventStore, faults: FaultyCommits) -> None:
    samples = Samples()
    mine, theirs = started(store, samples.start(), samples.start())
    holder = samples.start(key="taken")
    started(store, holder)
    for version in range(1, ROUNDS):
        store.append([advance(theirs, version, text="theirs")])
        again = samples.start(key="taken")
        batch = [advance(theirs, version, text="mine"), advance(mine, version), again]
        expected: Sequence[object] = [Conflict(), Appended(version + 1), KeyTaken(holder.stream_id, "input")]
        assert store.append(batch) == expected
    assert not any(b"mine" in text for text in texts(store, theirs))
    assert all(faults.counts[fault] > 0 for fault in Fault)


def test_starts_through_failing_commits_happen_exactly_once(
    store: SqlEventStore, engine: Engine, faults: FaultyCommits
) -> None:
    samples = Samples()
    for _ in range(ROUNDS):
        started(store, *(samples.start(events=2) for _ in range(SAGAS)))
    faults.stop()
    with engine.connect() as connection:
        counted = [connection.scalar(select(func.count()).select_from(table)) for table in (keys, streams, events)]
    assert counted == [ROUNDS * SAGAS, ROUNDS * SAGAS, 2 * ROUNDS * SAGAS]
    assert all(faults.counts[fault] > 0 for fault in Fault)


def test_one_commit_writes_one_batch_id_for_each_stream(
    store: SqlEventStore, engine: Engine, faults: FaultyCommits
) -> None:
    (saga,) = started(store, Samples().start())
    for version in range(1, ROUNDS):
        store.append([advance(saga, version)])
    faults.stop()
    with engine.connect() as connection:
        ids = connection.scalars(select(events.c.batch_id).where(events.c.stream_id == saga)).all()
    assert len(set(ids)) == ROUNDS


def test_what_may_be_repeated_is_repeated(store: SqlEventStore, faults: FaultyCommits) -> None:
    (saga,) = started(store, Samples().start(events=REPEATS))
    seen: Lease | None = None
    for number in range(1, REPEATS):
        store.settle([Settlement(saga, REPEATS, number, number)])
        assert (loaded(store, saga).head.published, loaded(store, saga).head.next_due) == (number, number)
        assert store.change_leases([LeaseChange("p", "me", number, seen)]) == [True]
        seen = Lease("p", "me", number)
        assert store.register([definition(number)]) == [None]
    assert len(store.definitions()) == REPEATS - 1
    assert all(faults.counts[fault] > 0 for fault in Fault)


def test_an_unknown_commit_that_nobody_settles_is_told(engine: Engine) -> None:
    faults = FaultyCommits(engine, seed=1, chance=1.0, faults=(Fault.UNKNOWN_APPLIED,))
    tries: list[int] = []
    with pytest.raises(CommitUnknownError, match="unknown whether the commit happened"):
        run_transaction(engine, lambda connection: tries.append(1))
    faults.stop()
    assert tries == [1]


def test_an_append_whose_commits_all_stay_unknown_gives_up_without_a_second_copy(
    store: SqlEventStore, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.adapters.sql.append.RETRY_FOR_S", 0.2)
    (saga,) = started(store, Samples().start())
    faults = FaultyCommits(engine, seed=1, chance=1.0, faults=(Fault.LOST_NOT_APPLIED,))
    with pytest.raises(CommitUnknownError):
        store.append([advance(saga, 1)])
    faults.stop()
    assert versions_of(loaded(store, saga)) == [1]
    assert store.append([advance(saga, 1)]) == [Appended(2)]
