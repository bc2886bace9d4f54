"""Fixtures that all tests may use: databases and stores. Where they come from is `tests.databases`.

And how hypothesis searches: the same examples each time, however slow the machine is; `--hypothesis-profile=search`
draws others, as many as each test asks for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests.databases import (
    COCKROACH,
    SERIALIZABLE,
    SQL_LANES,
    Database,
    Databases,
    NewDatabase,
    new_databases,
    postgres_server,
)

pytest.register_assert_rewrite(
    "saga_engine.testing.dead_letters_contract",
    "saga_engine.testing.store_contract",
    "saga_engine.testing.store_keeping_contract",
    "saga_engine.testing.store_reading_contract",
    "saga_engine.testing.transport_contract",
    "saga_engine.testing.transport_delivery_contract",
    "saga_engine.testing.transport_publishing_contract",
)

# Without these, an example that a busy machine holds up for 200 ms fails its test.
_PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("search", _PATIENT)
hypothesis_settings.register_profile("same", _PATIENT, derandomize=True)
hypothesis_settings.load_profile("same")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL for the whole session. For a database of your own ask for `postgres_database`."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> Iterator[NewDatabase]:
    """Call it for the url of a new, empty PostgreSQL database."""
    with new_databases(postgres_url, drop="SAGA_TEST_POSTGRES" in os.environ) as make:
        yield make


@pytest.fixture(scope="session")
def cockroach_database() -> Iterator[NewDatabase]:
    """The same on the CockroachDB that `COCKROACH_URL` names."""
    with new_databases(os.environ["COCKROACH_URL"], drop=True) as make:
        yield make


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Databases:
    """Databases by lane; a server is started when the first lane asks for it."""

    def maker(lane: str) -> NewDatabase:
        make: NewDatabase = request.getfixturevalue("cockroach_database" if lane == COCKROACH else "postgres_database")
        return make

    return Databases(maker)


@pytest.fixture(params=[lane for lane in SQL_LANES if lane != SERIALIZABLE])
def empty_database(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Database:
    """A new database without tables, in each lane but that of another isolation level, which only a store has."""
    return databases.empty(request.param, tmp_path)


@pytest.fixture(params=SQL_LANES)
def database(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """A database with the engine's tables, all empty, in each lane."""
    with databases.migrated(request.param, tmp_path) as database:
        yield database
