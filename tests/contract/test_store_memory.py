"""The store contract on the memory store."""

from __future__ import annotations

import pytest

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.ports.store import EventStore
from saga_engine.testing.store_contract import StoreContract


class TestMemoryEventStore(StoreContract):
    @pytest.fixture
    def store(self) -> EventStore:
        return MemoryEventStore()
