"""Databases that are made where they are missing, on a real PostgreSQL, through CockroachDB's dialect as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from saga_engine.bootstrap.setup import make_databases
from saga_engine.databases import Database as Owned
from saga_engine.errors import StoreUnavailableError
from saga_engine.sql.creation import Made, Refused, There, ensure_database
from saga_engine.sql.engine import open_engine
from saga_engine.sql.migrate import ENGINE_BRANCH, status, upgrade
from tests.databases import DIALECT, POSTGRES, Databases, run_sql

Absent = Callable[[], str]


@pytest.fixture(params=[POSTGRES, DIALECT])
def absent(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Absent]:
    """Call it for the url of a database that its server does not have, under a name that wants quoting."""
    there, made = databases.empty(request.param, tmp_path).url, list[str]()

    def name_one() -> str:
        made.append(f"Saga-{uuid4().hex[:12]}")
        return make_url(there).set(database=made[-1]).render_as_string(hide_password=False)

    yield name_one
    run_sql(there, *(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in made))


def test_a_database_is_made_once_and_takes_the_tables(absent: Absent) -> None:
    url = absent()
    assert [ensure_database(url) for _ in range(2)] == [Made(), There()]
    engine = open_engine(url)
    try:
        assert upgrade(engine, ENGINE_BRANCH)
        assert status(engine, ENGINE_BRANCH).pending == ()
    finally:
        engine.dispose()


def test_of_several_that_make_it_at_the_same_time_nobody_fails(absent: Absent) -> None:
    url = absent()
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(ensure_database, [url] * 4))
    assert set(map(type, outcomes)) <= {Made, There}
    assert Made() in outcomes


def test_a_login_that_may_make_none_is_told_what_an_administrator_is_to_run(absent: Absent) -> None:
    administrators = make_url(absent()).set(database="postgres").render_as_string(hide_password=False)
    role, urls = f"saga_poor_{uuid4().hex[:8]}", [absent(), absent()]
    run_sql(administrators, f"CREATE ROLE {role} LOGIN")
    poor = [make_url(url).set(username=role).render_as_string(hide_password=False) for url in urls]
    try:
        refused = ensure_database(poor[0])
        assert isinstance(refused, Refused)
        assert "permission denied to create database" in refused.reason
        owned = [Owned(name, SecretStr(url), inbox=False) for name, url in zip(("engine", "order"), poor, strict=True)]
        with pytest.raises(StoreUnavailableError) as told:
            make_databases(owned)
        wanted = [line.strip() for line in str(told.value).splitlines() if line.startswith("  ")]
        assert [line.split()[0] for line in wanted] == ["CREATE", "ALTER"] * 2
        run_sql(administrators, *wanted)
        assert make_databases(owned) == []
        run_sql(poor[0], "CREATE TABLE mine (x int)")
    finally:
        run_sql(administrators, *(f'DROP DATABASE IF EXISTS "{make_url(url).database}"' for url in urls))
        run_sql(administrators, f"DROP ROLE {role}")


def test_a_server_that_is_not_there_is_told_as_such(absent: Absent, unused_tcp_port: int) -> None:
    nowhere = make_url(absent()).set(host="127.0.0.1", port=unused_tcp_port, query={})
    with pytest.raises(StoreUnavailableError, match="does not serve"):
        ensure_database(nowhere.render_as_string(hide_password=False))
