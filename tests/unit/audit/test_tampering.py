"""A store that somebody has written in by hand: whatever was changed, deleted or moved is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.audit.check import Judge
from saga_engine.audit.rows import MOST_EVENTS, PAGE, named, pages, surroundings
from saga_engine.errors import NotFoundError
from saga_engine.ports.store import EventStore
from saga_engine.testing.store_samples import Samples, started
from saga_engine.testing.system import SagaSystem
from tests.unit.core.sagas import saga

TRIP = saga(
    """
    step: flight, call: air.book, with: {to: "${{ input.to }}"}, compensate: {call: air.cancel}
    step: hotel, call: inn.book, with: {room: "${{ steps.flight.result.seat }}"}, compensate: {call: inn.cancel}
    """,
    "output: {seat: '${{ steps.flight.result.seat }}'}",
)


@pytest.fixture
def trips() -> Iterator[SagaSystem]:
    """A completed and a compensated saga."""
    with SagaSystem(TRIP) as system:
        system.participant("air").on("book").succeeds({"seat": 7})
        system.participant("inn").on("book", where={"room": 7}).succeeds(times=1).rejects("full")
        assert system.start("trip", {"to": "rome"}, key="one").ended() == "completed"
        assert system.start("trip", {"to": "oslo"}, key="two").ended() == "compensated"
        yield system


def store_of(system: SagaSystem) -> SqlEventStore:
    return system._engine.store


def engine_of(system: SagaSystem) -> Engine:
    return store_of(system)._engine


def found(store: EventStore, key: str | None = None) -> set[str]:
    """The numbers of the invariants that are broken."""
    judge = Judge(surroundings(store))
    for page in pages(store) if key is None else [named(store, key)]:
        for each in page:
            judge.saga(each)
    return set(judge.report.broken)


_ONE = "stream_id = (SELECT stream_id FROM saga_streams WHERE key = 'one')"

TAMPERED = [
    ("a deleted event", "DELETE FROM saga_events WHERE version = 4 AND ONE", {"A1"}),
    ("a deleted tail", "DELETE FROM saga_events WHERE version > 4 AND ONE", {"A1"}),
    ("all events deleted", "DELETE FROM saga_events WHERE ONE", {"A1"}),
    ("a deleted row", "DELETE FROM saga_streams WHERE key = 'one'", {"A1", "A6"}),
    (
        "a deleted saga of which the key is left",
        "DELETE FROM saga_events WHERE ONE;DELETE FROM saga_streams WHERE key = 'one'",
        {"A6"},
    ),
    (
        "events in another order",
        "UPDATE saga_events SET version = 99 WHERE version = 2 AND ONE;"
        "UPDATE saga_events SET version = 2 WHERE version = 3 AND ONE;"
        "UPDATE saga_events SET version = 3 WHERE version = 99 AND ONE",
        {"A3", "A5"},
    ),
    (
        "a changed payload",
        "UPDATE saga_events SET data = replace(data, 'rome', 'bari') WHERE version = 2 AND ONE",
        {"A7"},
    ),
    ("a changed result", "UPDATE saga_events SET data = replace(data, '7', '8') WHERE version = 3 AND ONE", {"A7"}),
    (
        "a changed input",
        "UPDATE saga_events SET data = replace(data, 'rome', 'bari') WHERE version = 1 AND ONE",
        {"A6", "A7"},
    ),
    ("a changed output", "UPDATE saga_events SET data = replace(data, '7', '8') WHERE version = 6 AND ONE", {"A7"}),
    ("an event of another type", "UPDATE saga_events SET type = 'StepRejected' WHERE version = 3 AND ONE", {"A3"}),
    ("an event that is no text", "UPDATE saga_events SET data = x'ff' WHERE version = 3 AND ONE", {"A3"}),
    ("a time that is a word", "UPDATE saga_events SET at = 'tomorrow' WHERE version = 3 AND ONE", {"A3"}),
    ("a time that is a fraction", "UPDATE saga_events SET at = 1.5 WHERE version = 3 AND ONE", {"A3"}),
    ("a time before all time", "UPDATE saga_events SET at = -1 WHERE version = 1 AND ONE", {"A3"}),
    ("a time after all time", "UPDATE saga_events SET at = 9223372036854775807 WHERE version = 6 AND ONE", {"A3"}),
    ("a version that is a word", "UPDATE saga_events SET version = 'x' WHERE version = 3 AND ONE", {"A1"}),
    ("a changed status", "UPDATE saga_streams SET status = 'closed' WHERE key = 'one'", {"A4"}),
    ("a changed version", "UPDATE saga_streams SET version = 3 WHERE key = 'one'", {"A1"}),
    ("a changed definition hash", "UPDATE saga_streams SET definition_hash = 'x' WHERE key = 'one'", {"A8"}),
    ("a changed definition", "UPDATE saga_definitions SET content = replace(content, 'inn', 'pub')", {"A8"}),
    ("a deleted definition", "DELETE FROM saga_definitions", {"A8"}),
    ("a deleted key", "DELETE FROM saga_keys WHERE key = 'one'", {"A6"}),
    ("a moved key", "UPDATE saga_keys SET generation = 5 WHERE key = 'one'", {"A6"}),
    (
        "a changed batch",
        "UPDATE saga_events SET batch_id = (SELECT batch_id FROM saga_events WHERE version = 1 AND ONE)"
        " WHERE version = 5 AND ONE",
        {"A5"},
    ),
]


@pytest.mark.parametrize(("what", "statements", "numbers"), TAMPERED, ids=[what for what, _, _ in TAMPERED])
def test_what_was_written_by_hand_is_named(trips: SagaSystem, what: str, statements: str, numbers: set[str]) -> None:
    assert found(store_of(trips)) == set()
    with engine_of(trips).begin() as connection:
        for statement in statements.split(";"):
            assert connection.execute(text(statement.replace("ONE", _ONE))).rowcount > 0, f"{what}: nothing was changed"
    assert numbers <= found(store_of(trips))


def test_an_end_that_counts_as_unpublished_is_named_when_it_stays_so(trips: SagaSystem) -> None:
    with engine_of(trips).begin() as connection:
        connection.execute(text("UPDATE saga_streams SET published = 1 WHERE key = 'one'"))
    trips.advance("9m")
    assert found(store_of(trips)) == set()
    trips.advance("2m")
    assert found(store_of(trips)) == {"E4"}


def test_one_saga_is_found_by_its_key_by_its_id_and_by_what_is_left_of_it(trips: SagaSystem) -> None:
    store = store_of(trips)
    (one,) = named(store, "one")
    assert named(store, str(one.saga_id)) == [one]
    assert found(store, "two") == set()
    with engine_of(trips).begin() as connection:
        connection.execute(text("DELETE FROM saga_streams WHERE key = 'one'"))
    assert {"A1", "A6"} <= found(store, str(one.saga_id))
    assert found(store, "two") == set()


@pytest.mark.parametrize("name", ["nobody", "01938f5e-7c00-7000-8000-000000000001"])
def test_a_saga_that_is_not_there_is_said_to_be_none(trips: SagaSystem, name: str) -> None:
    with pytest.raises(NotFoundError, match=f"no saga with id or key '{name}' named trip"):
        named(store_of(trips), name, "trip")


def test_many_sagas_are_read_page_by_page_and_long_streams_a_few_at_a_time() -> None:
    store, samples = MemoryEventStore(), Samples()
    many = started(store, *(samples.start() for _ in range(PAGE + 3)))
    long = started(store, *(samples.start(events=MOST_EVENTS // 2) for _ in range(3)), samples.start(saga="other"))
    sizes = [len(page) for page in pages(store)]
    assert sum(sizes) == len(many) + len(long)
    assert max(sum(len(saga.stored) for saga in page) for page in pages(store)) <= MOST_EVENTS
    assert [len(page) for page in pages(store, "other")] == [1]
