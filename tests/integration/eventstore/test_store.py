"""Domain events in a database: versions without gaps, one event per id, whoever else is writing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect

from saga_engine.errors import StoreUnavailableError
from saga_engine.eventstore import store as store_module
from saga_engine.eventstore.event import Aggregate, IdTaken, Stored, WrongVersion
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.eventstore.tables import BRANCH, MIGRATIONS, domain_tables
from saga_engine.sql.engine import open_engine
from saga_engine.sql.migrate import upgrade
from tests.databases import DIALECT, POSTGRES, SQLITE, Database, Databases, migrated
from tests.integration.eventstore.samples import ORDER, entry, with_tables

NOW = 1_795_437_762_402_546


@pytest.fixture(scope="module", params=[SQLITE, POSTGRES, DIALECT])
def kept_database(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    return with_tables(migrated(databases.empty(request.param, tmp_path_factory.mktemp("events"))))


@pytest.fixture
def store(events_database: Database) -> Iterator[SqlDomainEvents]:
    with events_database.engine() as engine:
        yield SqlDomainEvents(engine, lambda: NOW)


def test_the_migrations_make_the_tables_and_may_run_again(empty_database: Database) -> None:
    with empty_database.engine() as engine:
        assert upgrade(engine, BRANCH, [MIGRATIONS], inbox=False) == ["0001_domain_events"]
        assert upgrade(engine, BRANCH, [MIGRATIONS], inbox=False) == []
    # CockroachDB's dialect asks for columns of its catalogue that PostgreSQL has not.
    asked = empty_database.url.replace("cockroachdb", "postgresql") if empty_database.lane == DIALECT else None
    with Database(POSTGRES, asked or empty_database.url).engine() as engine:
        found = inspect(engine)
        for table in domain_tables.sorted_tables:
            made = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert made == {column.name: column.nullable for column in table.columns}
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [one.name for one in table.primary_key]
        assert {"domain_events_id"} == {index["name"] for index in found.get_indexes("domain_events")}


def test_the_events_of_an_aggregate_are_read_as_they_were_appended_numbered_from_one(store: SqlDomainEvents) -> None:
    first, other, second = entry(), entry(aggregate=Aggregate("o-1", "payment")), entry(data="")
    assert store.append([first, other, second]) == [Stored(1, NOW, False), Stored(1, NOW, False), Stored(2, NOW, False)]
    third = entry()
    assert store.append([third]) == [Stored(3, NOW, False)]
    read = store.read(ORDER, 0, 10)
    assert [(stored.version, stored.event) for stored in read] == [
        (1, first.event),
        (2, second.event),
        (3, third.event),
    ]
    assert store.read(ORDER, 1, 1) == [read[1]]
    assert store.versions(["o-1", "o-2"]) == {ORDER: 3, Aggregate("o-1", "payment"): 1}
    assert store.find(second.event.event_id) == read[1]
    assert store.find("nobody") is None


def test_the_same_event_again_is_stored_once_and_another_one_of_its_id_is_refused(store: SqlDomainEvents) -> None:
    original = entry("e-1")
    store.append([original])
    repeated, changed, moved = store.append(
        [original, entry("e-1", data="{}"), entry("e-1", aggregate=Aggregate("o-2", "order"))]
    )
    assert repeated == Stored(1, NOW, True)
    assert isinstance(changed, IdTaken)
    assert isinstance(moved, IdTaken)
    assert moved.holder.event == original.event
    assert store.versions(["o-1", "o-2"]) == {ORDER: 1}


def test_a_repetition_within_one_batch_is_stored_once(store: SqlDomainEvents) -> None:
    original = entry("e-1")
    assert store.append([original, original]) == [Stored(1, NOW, False), Stored(1, NOW, True)]


def test_an_expected_version_is_kept_to_also_within_one_batch(store: SqlDomainEvents) -> None:
    outcomes = store.append([entry(expected=0), entry(expected=0), entry(expected=1), entry(expected=7)])
    assert outcomes == [Stored(1, NOW, False), WrongVersion(1), Stored(2, NOW, False), WrongVersion(2)]


def test_a_repetition_succeeds_whatever_version_it_expected(store: SqlDomainEvents) -> None:
    original = entry("e-1", expected=0)
    store.append([original, entry()])
    assert store.append([original]) == [Stored(1, NOW, True)]


def test_writers_of_one_aggregate_at_the_same_time_leave_neither_gap_nor_double(events_database: Database) -> None:
    shared = [entry(f"shared-{i}") for i in range(10)]

    def write(writer: int) -> None:
        engine = open_engine(events_database.url)
        try:
            own = SqlDomainEvents(engine, lambda: NOW)
            for i in range(10):
                outcomes = own.append(
                    [entry(f"{writer}-{i}"), shared[i], entry(f"{writer}-{i}", Aggregate("o-2", "order"))]
                )
                assert [type(outcome) for outcome in outcomes] == [Stored, Stored, IdTaken]
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    with events_database.engine() as engine:
        read = SqlDomainEvents(engine, lambda: NOW).read(ORDER, 0, 1_000)
    assert [stored.version for stored in read] == list(range(1, 51))
    wanted = {f"{writer}-{i}" for writer, i in itertools.product(range(4), range(10))}
    assert {stored.event.event_id for stored in read} == wanted | {one.event.event_id for one in shared}


def test_writers_of_a_known_aggregate_wait_for_each_other_instead_of_trying_again(
    events_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_TRIES", 1)
    with events_database.engine() as engine:
        SqlDomainEvents(engine, lambda: NOW).append([entry()])

    def write(_: int) -> None:
        engine = open_engine(events_database.url)
        try:
            own = SqlDomainEvents(engine, lambda: NOW)
            for _ in range(25):
                own.append([entry()])
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))
    with events_database.engine() as engine:
        assert SqlDomainEvents(engine, lambda: NOW).versions([ORDER.id]) == {ORDER: 101}


def test_what_is_unpublished_is_listed_in_order_until_it_is_marked(store: SqlDomainEvents) -> None:
    aggregates = [Aggregate(f"o-{i}", "order") for i in range(3)]
    store.append([entry(aggregate=aggregate) for aggregate in aggregates for _ in range(2)])

    def listed(after: Aggregate | None = None, limit: int = 10) -> list[tuple[str, int]]:
        return [(one.event.aggregate.id, one.version) for one in store.unpublished(after, limit)]

    assert listed() == [(f"o-{i}", version) for i in range(3) for version in (1, 2)]
    assert listed(limit=3) == [("o-0", 1), ("o-0", 2), ("o-1", 1)]
    assert listed(aggregates[1]) == [("o-2", 1), ("o-2", 2)]
    store.mark_published({aggregates[0]: 2, aggregates[1]: 1})
    assert listed() == [("o-1", 2), ("o-2", 1), ("o-2", 2)]
    store.mark_published({aggregates[0]: 1})
    assert listed(limit=1) == [("o-1", 2)], "the mark has moved back"


def test_a_database_without_the_tables_is_told_with_what_makes_them(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(Exception, match="saga db upgrade"):
        SqlDomainEvents(engine, lambda: NOW).append([entry()])
    engine.dispose()


def test_a_server_that_is_away_is_told_as_such() -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(StoreUnavailableError):
        SqlDomainEvents(engine, lambda: NOW).append([entry()])
    engine.dispose()
