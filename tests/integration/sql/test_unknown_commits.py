"""Hundreds of commits that fail or whose outcome is unknown: nothing is lost, nothing is written twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import IntegrityError

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import Appended, Conflict, KeyTaken, Lease, LeaseChange, Settlement
from saga_engine.sql import direct
from saga_engine.sql.engine import open_engine
from saga_engine.sql.pacing import pace
from saga_engine.sql.patience import Patience
from saga_engine.sql.schema import events, keys, streams
from saga_engine.sql.transaction import CommitUnknownError, run_query, run_transaction
from saga_engine.testing.store_samples import Samples, advance, definition, loaded, started, versions_of
from tests.databases import POSTGRES, Database, Databases, migrated
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


def test_a_statement_that_commits_itself_is_run_again_when_the_server_refused_it(
    databases: Databases, tmp_path: Path
) -> None:
    with migrated(databases.empty(POSTGRES, tmp_path)).engine() as engine:
        faults = FaultyCommits(engine, seed=1, chance=0.5, faults=(Fault.REFUSED,))
        lease = text("INSERT INTO saga_leases (name, owner, expires_at) VALUES (:name, 'me', 1)")
        for number in range(ROUNDS):
            name = {"name": f"lease {number}"}
            run_transaction(engine, lambda connection, name=name: connection.execute(lease, name), alone=True)  # type: ignore[misc]
        faults.stop()
        assert (
            run_query(engine, lambda connection: connection.scalar(text("SELECT count(*) FROM saga_leases"))) == ROUNDS
        )
        assert faults.counts[Fault.REFUSED] > 0


def test_a_statement_that_commits_itself_and_loses_its_connection_may_be_committed(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.empty(POSTGRES, tmp_path).engine() as engine:
        tries: list[int] = []

        def work(connection: Connection) -> None:
            tries.append(1)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(CommitUnknownError):
            run_transaction(engine, work, alone=True)
        assert tries == [1]


def test_an_error_of_a_statement_that_commits_itself_is_definite(databases: Databases, tmp_path: Path) -> None:
    with databases.empty(POSTGRES, tmp_path).engine() as engine:
        full = text("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")
        with pytest.raises(StoreUnavailableError, match="no room") as caught:
            run_transaction(engine, lambda connection: connection.execute(full), alone=True)
        assert not isinstance(caught.value, CommitUnknownError)


def test_a_commit_that_fails_by_itself_after_its_statement_was_done_is_told(
    databases: Databases, tmp_path: Path
) -> None:
    with databases.empty(POSTGRES, tmp_path).engine() as engine:
        run_transaction(engine, lambda connection: connection.execute(text("CREATE TABLE parent (id int PRIMARY KEY)")))
        child = text("CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        run_transaction(engine, lambda connection: connection.execute(child))
        for _ in range(10):  # the driver prepares what comes often
            with pytest.raises(IntegrityError):
                run_transaction(engine, lambda c: direct.execute(c, "INSERT INTO child VALUES (1)"), alone=True)
        assert run_query(engine, lambda connection: connection.scalar(text("SELECT count(*) FROM child"))) == 0


@pytest.mark.parametrize("held", [True, False])
def test_an_append_that_is_not_answered_is_written_once_whichever_of_its_tries_it_was(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    monkeypatch.setattr("saga_engine.adapters.sql.append.RETRY_FOR_S", 120.0)
    database = migrated(databases.empty(POSTGRES, tmp_path))
    engine = open_engine(database.url, Patience(answer=1.0, idle=60.0))
    store = SqlEventStore(engine)
    (saga,) = started(store, Samples().start())
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with database.engine() as other, other.connect() as locking, ThreadPoolExecutor(1) as thread:
        locking.execute(text("UPDATE saga_streams SET status = status"))
        appending = thread.submit(store.append, [advance(saga, 1)])
        deadline = time.monotonic() + 60.0
        while run_query(other, lambda connection: connection.scalar(waiting)) < 2:
            assert time.monotonic() < deadline, "it was never tried again"
            time.sleep(0.02)
        if held:
            locking.rollback()
        else:
            locking.execute(text("UPDATE saga_streams SET version = 2"))
            locking.commit()
        expected = Appended(2) if held else Conflict()
        assert appending.result() == [expected]
    assert versions_of(loaded(store, saga))[:2] == ([1, 2] if held else [1])
    store.close()


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


class Paced:
    """A time that passes by its pauses, and by a little at every look at it."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 0.001
        return self._now

    def pause(self, longest: float) -> None:
        self.pauses.append(longest)
        self._now += longest


def test_a_database_that_loses_every_commit_is_tried_again_at_growing_intervals(
    engine: Engine, database: Database
) -> None:
    paced = Paced()
    pace(engine, paced)
    store = SqlEventStore(engine, isolation=database.isolation)
    (saga,) = started(store, Samples().start())
    faults = FaultyCommits(engine, seed=1, chance=1.0, faults=(Fault.LOST_NOT_APPLIED,))
    with pytest.raises(CommitUnknownError):
        store.append([advance(saga, 1)])
    faults.stop()
    assert paced.pauses == sorted(paced.pauses)
    assert paced.pauses[-1] == 1.0
    assert len(paced.pauses) < 30
