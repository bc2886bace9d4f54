"""A database that says nothing any more, and a client that says nothing any more: neither is waited for for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text

from saga_engine.errors import StoreUnavailableError
from saga_engine.sql.engine import open_engine
from saga_engine.sql.patience import Patience
from saga_engine.sql.savepoint import Savepoints
from saga_engine.sql.transaction import CommitUnknownError, run_query, run_transaction
from tests.databases import SERVER_LANES, Database

SHORT = Patience(answer=2.0, idle=1.0)
MARGIN_S = 30.0


@pytest.fixture(params=[lane for lane in SERVER_LANES if lane != "postgres-serializable"])
def patient(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of the usual patience on a new database with a table."""
    database: Database = request.getfixturevalue("databases").empty(request.param, request.getfixturevalue("tmp_path"))
    with database.engine() as engine:
        create = text("CREATE TABLE one (id int PRIMARY KEY, v int)")
        run_transaction(engine, lambda connection: connection.execute(create))
        run_transaction(engine, lambda connection: connection.execute(text("INSERT INTO one VALUES (1, 0)")))
        yield engine


@pytest.fixture
def engine(patient: Engine) -> Iterator[Engine]:
    """One of little patience on the same database."""
    engine = open_engine(patient.url.render_as_string(hide_password=False), SHORT)
    yield engine
    engine.dispose()


def test_a_statement_that_is_not_answered_is_trouble_of_the_database_and_the_next_one_works(engine: Engine) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="no answer within 2 s"):
        run_query(engine, lambda connection: connection.execute(text("SELECT pg_sleep(60)")))
    assert time.monotonic() - began < MARGIN_S
    assert run_query(engine, lambda connection: connection.scalar(text("SELECT 1"))) == 1


def test_a_savepoint_that_is_not_answered_is_trouble_of_the_database_as_well(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.sql.savepoint._SAVE", "SELECT pg_sleep(20)")
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        run_transaction(engine, lambda connection: Savepoints(connection).take())
    assert time.monotonic() - began < MARGIN_S
    assert run_query(engine, lambda connection: connection.scalar(text("SELECT 1"))) == 1


def test_savepoints_take_back_and_keep_what_was_done_behind_them(engine: Engine) -> None:
    def pieces(connection: Connection) -> None:
        savepoints = Savepoints(connection)
        for value, kept in ((1, True), (2, False), (3, True)):
            savepoints.take()
            connection.execute(text("UPDATE one SET v = v * 10 + :v"), {"v": value})
            if kept:
                assert savepoints.keep()
            else:
                savepoints.back()

    run_transaction(engine, pieces)
    assert run_query(engine, lambda connection: connection.scalar(text("SELECT v FROM one"))) == 13


def test_a_client_that_stops_in_the_middle_of_a_transaction_holds_its_locks_for_a_bounded_time(
    engine: Engine, patient: Engine
) -> None:
    with engine.connect() as silent:
        silent.execute(text("UPDATE one SET v = 1"))
        began = time.monotonic()
        run_transaction(patient, lambda connection: connection.execute(text("UPDATE one SET v = 2")))
        assert time.monotonic() - began < MARGIN_S
        silent.invalidate()
    assert run_query(patient, lambda connection: connection.scalar(text("SELECT v FROM one"))) == 2


def test_a_transaction_that_the_database_ended_meanwhile_is_not_committed_and_that_is_told(
    engine: Engine, patient: Engine
) -> None:
    def slow(connection: object) -> None:
        assert hasattr(connection, "execute")
        connection.execute(text("UPDATE one SET v = 3"))
        time.sleep(2 * SHORT.idle)

    with pytest.raises(CommitUnknownError):
        run_transaction(engine, slow)
    assert run_query(patient, lambda connection: connection.scalar(text("SELECT v FROM one"))) == 0
