"""Fixtures: orders in a store of their own, and views of them in every lane of databases, or on SQLite only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.sql.engine import open_engine
from saga_engine.sql.indexes import indexed_engine_tables
from tests.databases import POSTGRES, SQLITE, Database, Databases
from tests.integration.projections.orders import Orders, View, migrated_view, open_view


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Orders]:
    engine = open_engine(f"sqlite:///{tmp_path / 'sagas.db'}")
    indexed_engine_tables().create_all(engine)
    store = SqlEventStore(engine)
    yield Orders(store)
    store.close()


@pytest.fixture
def view(orders: Orders, tmp_path: Path) -> Iterator[View]:
    with migrated_view(f"sqlite:///{tmp_path / 'view.db'}") as engine:
        yield open_view(orders.store, engine)


@pytest.fixture(params=[SQLITE, POSTGRES])
def large_view(orders: Orders, databases: Databases, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[View]:
    """On SQLite and on PostgreSQL, for a test that does much."""
    with migrated_view(databases.empty(request.param, tmp_path).url) as engine:
        yield open_view(orders.store, engine)


@pytest.fixture
def any_view(orders: Orders, empty_database: Database) -> Iterator[View]:
    """On SQLite, on PostgreSQL, and on that through CockroachDB's dialect."""
    with migrated_view(empty_database.url) as engine:
        yield open_view(orders.store, engine)
