"""The store contract on the SQL stores, in every lane."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saga_engine.ports.store import EventStore
from saga_engine.testing.store_contract import StoreContract
from tests.databases import Database


class TestSqlEventStore(StoreContract):
    @pytest.fixture
    def store(self, database: Database) -> Iterator[EventStore]:
        store = database.open_store()
        yield store
        store.close()
