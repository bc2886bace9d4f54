"""Opening databases by url: drivers, what a mistake says, what is never said, and how a SQLite file is set up."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.errors import StoreUnavailableError, UsageError
from saga_engine.sql.engine import describe, open_engine
from saga_engine.sql.transaction import run_query, run_transaction


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg"),
        ("postgres://u@h/d", "postgresql+psycopg"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg"),
        ("cockroachdb://u@h/d", "cockroachdb+psycopg"),
        ("sqlite:///:memory:", "sqlite"),
    ],
)
def test_the_driver_is_filled_in(url: str, driver: str) -> None:
    engine = open_engine(url)
    assert engine.url.drivername == driver
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://root:hunter2@h/d", "oracle://h", "postgresql://h:port/d"])
def test_a_url_that_cannot_be_used_is_a_usage_error_without_the_password(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_engine(url)
    assert "expected" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_cockroachdb_dialect_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy_cockroachdb.psycopg", None)
    monkeypatch.setattr("sqlalchemy.dialects.registry.impls", {})
    with pytest.raises(UsageError, match="pip install 'sqlalchemy-cockroachdb"):
        open_engine("cockroachdb://root:hunter2@h/d")


def test_passwords_and_options_are_not_shown() -> None:
    engine = open_engine("postgresql://user:hunter2@h:5432/d?sslpassword=hunter3")
    assert describe(engine.url) == "postgresql+psycopg://user:***@h:5432/d"
    assert "hunter2" not in repr(engine)
    engine.dispose()


def test_a_server_that_cannot_be_reached_says_where_without_the_password(tmp_path: Path) -> None:
    store = SqlEventStore(open_engine(f"postgresql://user:hunter2@/d?host={tmp_path}"))
    with pytest.raises(StoreUnavailableError, match="does not serve") as caught:
        store.now()
    assert "user" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    store.close()


def test_an_option_that_the_driver_does_not_know_is_unavailable_and_not_a_traceback(tmp_path: Path) -> None:
    store = SqlEventStore(open_engine(f"postgresql://user@/d?host={tmp_path}&nonsense=1"))
    with pytest.raises(StoreUnavailableError, match="nonsense"):
        store.now()
    store.close()


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a/b/engine.db")
    assert run_query(engine, lambda connection: connection.scalar(text("SELECT 1"))) == 1
    assert (tmp_path / "a" / "b" / "engine.db").exists()
    engine.dispose()


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="folder cannot be made"):
        open_engine(f"sqlite:///{tmp_path}/file/engine.db")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "engine.db").write_text("these are my notes, " * 50)
    store = SqlEventStore(open_engine(f"sqlite:///{tmp_path}/engine.db"))
    with pytest.raises(StoreUnavailableError, match="not a database"):
        store.counts()
    store.close()


def test_a_sqlite_file_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/engine.db")
    names = ("journal_mode", "synchronous", "busy_timeout")
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert found == ["wal", 2, 5000]
    engine.dispose()


def test_a_database_in_memory_is_one_database_for_all_calls() -> None:
    engine = open_engine("sqlite:///:memory:")
    run_transaction(engine, lambda connection: connection.execute(text("CREATE TABLE t (a)")))
    assert run_query(engine, lambda connection: connection.scalar(text("SELECT count(*) FROM t"))) == 0
    engine.dispose()


def test_parameters_do_not_show_in_errors(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/engine.db")
    statement = text("SELECT missing_function(:secret)")
    with pytest.raises(Exception, match="missing_function") as caught:
        run_query(engine, lambda connection: connection.execute(statement, {"secret": "hunter2"}))
    assert "hunter2" not in str(caught.value)
    engine.dispose()
