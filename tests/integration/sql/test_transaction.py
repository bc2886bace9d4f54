"""Whole transactions: retried from their start, within bounds, and told apart when they cannot be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, make_url, text
from sqlalchemy.exc import IntegrityError

from saga_engine.errors import SchemaMissingError, StoreUnavailableError
from saga_engine.sql.engine import open_engine
from saga_engine.sql.transaction import CommitUnknownError, ContendedError, run_query, run_transaction
from saga_engine.sql.trouble import is_infrastructure
from tests.databases import POSTGRES, SERIALIZABLE, SQLITE, Database, Databases
from tests.integration.sql.faults import Fault, FaultyCommits


@pytest.fixture
def engine(empty_database: Database) -> Iterator[Engine]:
    engine = open_engine(empty_database.url)
    run_transaction(engine, lambda connection: _create(connection, "account (id integer primary key, money integer)"))
    run_transaction(engine, lambda connection: connection.execute(text("INSERT INTO account VALUES (1, 0), (2, 0)")))
    yield engine
    engine.dispose()


def _create(connection: Connection, table: str) -> None:
    connection.execute(text(f"CREATE TABLE {table}"))


def money(engine: Engine) -> int:
    total = run_query(engine, lambda connection: connection.scalar(text("SELECT sum(money) FROM account")))
    assert isinstance(total, int)
    return total


def pay(connection: Connection) -> None:
    connection.execute(text("UPDATE account SET money = money + 1 WHERE id = 1"))


def test_a_transaction_that_lost_is_run_again_whole(engine: Engine) -> None:
    faults = FaultyCommits(engine, seed=3, chance=0.5, faults=(Fault.REFUSED,))
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        pay(connection)

    for _ in range(30):
        run_transaction(engine, work)
    faults.stop()
    assert money(engine) == 30
    assert len(tries) == 30 + faults.counts[Fault.REFUSED] > 30


def test_an_error_of_the_work_rolls_back_and_passes_through(engine: Engine) -> None:
    def work(connection: Connection) -> None:
        pay(connection)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_transaction(engine, work)
    assert money(engine) == 0


def test_a_connection_that_has_read_in_autocommit_begins_transactions_as_before(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        pay(connection)
        raise KeyError("no such account")

    for _ in range(3):
        assert money(engine) == 0
        with engine.connect() as connection:
            pay(connection)
        with pytest.raises(KeyError, match="no such account"):
            run_transaction(engine, fail)
    assert money(engine) == 0
    run_transaction(engine, pay)
    assert money(engine) == 1


def test_a_violated_constraint_is_not_trouble_of_the_database(engine: Engine) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("INSERT INTO account VALUES (1, 5)"))

    with pytest.raises(IntegrityError) as caught:
        run_transaction(engine, work)
    assert not is_infrastructure(caught.value)


def test_tries_are_bounded(engine: Engine) -> None:
    faults = FaultyCommits(engine, seed=3, chance=1.0, faults=(Fault.REFUSED,))
    with pytest.raises(ContendedError) as caught:
        run_transaction(engine, pay, tries=3)
    with pytest.raises(ContendedError):
        run_transaction(engine, pay, retry_for=0.1)
    faults.stop()
    assert is_infrastructure(caught.value)
    assert faults.counts[Fault.REFUSED] > 3
    assert money(engine) == 0


def test_work_that_may_be_repeated_is_run_again_after_an_unknown_commit(engine: Engine) -> None:
    faults = FaultyCommits(engine, seed=5, chance=0.7, faults=(Fault.UNKNOWN_APPLIED, Fault.LOST_NOT_APPLIED))
    for number in range(20):
        run_transaction(engine, partial(_set, number), repeatable=True)
        assert money(engine) == number
    faults.stop()


def _set(value: int, connection: Connection) -> None:
    connection.execute(text("UPDATE account SET money = :value WHERE id = 1"), {"value": value})


def test_a_missing_table_says_how_to_make_it(engine: Engine) -> None:
    with pytest.raises(SchemaMissingError, match="saga db upgrade"):
        run_query(engine, lambda connection: connection.execute(text("SELECT 1 FROM nowhere")))


def test_concurrent_increments_are_all_counted(engine: Engine) -> None:
    def many() -> None:
        for _ in range(25):
            run_transaction(engine, pay)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert money(engine) == 100


def test_serialization_failures_of_a_real_database_are_retried(databases: Databases, tmp_path: Path) -> None:
    database = databases.empty(SERIALIZABLE, tmp_path)
    with database.engine() as engine:
        run_transaction(engine, lambda connection: _create(connection, "account (id integer, money integer)"))
        run_transaction(engine, lambda connection: connection.execute(text("INSERT INTO account VALUES (1, 0)")))
        tries: list[int] = []

        def read_then_write(connection: Connection) -> None:
            tries.append(1)
            stored = connection.scalar(text("SELECT money FROM account"))
            connection.execute(text("UPDATE account SET money = :money"), {"money": stored + 1})

        def many() -> None:
            for _ in range(15):
                run_transaction(engine, read_then_write, isolation="SERIALIZABLE")

        threads = [threading.Thread(target=many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert money(engine) == 60
        assert len(tries) > 60


def test_a_pool_that_outlived_its_server_sessions_is_renewed(databases: Databases, tmp_path: Path) -> None:
    database = databases.empty(POSTGRES, tmp_path)
    with database.engine() as engine, database.engine() as other:
        held = [engine.connect() for _ in range(4)]
        for connection in held:
            connection.exec_driver_sql("SELECT 1")
            connection.close()
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        run_query(other, lambda connection: connection.execute(text(f"{kill} AND pid <> pg_backend_pid()")).all())
        assert run_transaction(engine, lambda connection: connection.scalar(text("SELECT 7"))) == 7
        assert run_query(engine, lambda connection: connection.scalar(text("SELECT 8"))) == 8


def test_a_session_that_is_ended_in_the_middle_of_a_transaction_is_begun_again(
    databases: Databases, tmp_path: Path
) -> None:
    database = databases.empty(POSTGRES, tmp_path)
    with database.engine() as engine, database.engine() as other:
        tries: list[int] = []

        def work(connection: Connection) -> int:
            tries.append(1)
            pid = connection.scalar(text("SELECT pg_backend_pid()"))
            if len(tries) == 1:
                end = text("SELECT pg_terminate_backend(:pid)")
                run_query(other, lambda admin: admin.scalar(end, {"pid": pid}))
            value = connection.scalar(text("SELECT 9"))
            assert isinstance(value, int)
            return value

        assert run_transaction(engine, work) == 9
        assert len(tries) == 2


def test_a_session_that_is_ended_each_time_is_unavailable(databases: Databases, tmp_path: Path) -> None:
    database = databases.empty(POSTGRES, tmp_path)
    with database.engine() as engine:

        def work(connection: Connection) -> None:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(StoreUnavailableError, match="does not serve") as caught:
            run_transaction(engine, work)
        assert not isinstance(caught.value, CommitUnknownError)


def test_a_statement_prepared_before_a_migration_is_prepared_again(databases: Databases, tmp_path: Path) -> None:
    database = databases.empty(POSTGRES, tmp_path)
    with database.engine() as engine:
        run_transaction(engine, lambda connection: _create(connection, "account (id integer)"))
        read = text("SELECT * FROM account")
        for _ in range(10):
            run_query(engine, lambda connection: connection.execute(read).all())
        with database.engine() as other:
            run_transaction(other, lambda c: c.execute(text("ALTER TABLE account ADD COLUMN money integer")))
        assert run_query(engine, lambda connection: list(connection.execute(read).keys())) == ["id", "money"]


def test_a_writer_waits_for_another_process_on_a_sqlite_file(databases: Databases, tmp_path: Path) -> None:
    database = databases.empty(SQLITE, tmp_path)
    with database.engine() as engine, database.engine() as other:
        run_transaction(engine, lambda connection: _create(connection, "account (id integer, money integer)"))
        holding, release = threading.Event(), threading.Event()

        def hold(connection: Connection) -> None:
            connection.execute(text("INSERT INTO account VALUES (1, 1)"))
            holding.set()
            release.wait(timeout=90)

        holder = threading.Thread(target=run_transaction, args=(other, hold))
        holder.start()
        holding.wait(timeout=90)
        # A reader is not held up, and does not see what is not committed.
        assert run_query(engine, lambda connection: connection.scalar(text("SELECT count(*) FROM account"))) == 0
        threading.Timer(0.2, release.set).start()
        run_transaction(engine, lambda connection: connection.execute(text("INSERT INTO account VALUES (2, 1)")))
        holder.join()
        assert money(engine) == 2


@pytest.mark.parametrize("usual", ["READ COMMITTED", "SERIALIZABLE"])
@pytest.mark.parametrize("wanted", ["READ COMMITTED", "SERIALIZABLE"])
def test_a_transaction_has_the_isolation_asked_for_whatever_is_usual_on_the_server(
    databases: Databases, tmp_path: Path, usual: str, wanted: str
) -> None:
    url = make_url(databases.empty(POSTGRES, tmp_path).url)
    options = "-c default_transaction_isolation=" + usual.lower().replace(" ", r"\ ")
    usually = url.update_query_dict({"options": options})
    engine = open_engine(usually.render_as_string(hide_password=False))
    try:
        asked = text("SELECT current_setting('transaction_isolation')")
        for _ in range(2):
            level = run_transaction(engine, lambda connection: connection.scalar(asked), isolation=wanted)
            assert level == wanted.lower()
            assert run_transaction(engine, lambda connection: connection.scalar(asked)) == usual.lower()
            run_query(engine, lambda connection: connection.scalar(asked))
    finally:
        engine.dispose()
