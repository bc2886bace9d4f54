"""Databases with the tables of domain events: one for each lane and module, emptied after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saga_engine.eventstore.tables import domain_tables
from tests.databases import POSTGRES, SQLITE, Database, Databases, migrated
from tests.integration.eventstore.samples import with_tables


@pytest.fixture(scope="module", params=[SQLITE, POSTGRES])
def kept_database(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Database:
    return with_tables(migrated(databases.empty(request.param, tmp_path_factory.mktemp("events"))))


@pytest.fixture
def events_database(kept_database: Database) -> Iterator[Database]:
    """A database with the engine's tables and those of domain events, of which the latter are empty."""
    yield kept_database
    with kept_database.engine() as engine, engine.begin() as connection:
        for table in domain_tables.sorted_tables:
            connection.execute(table.delete())
