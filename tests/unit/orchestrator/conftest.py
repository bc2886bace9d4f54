"""What the tests of turns share: an office, and one whose store is watched."""

from __future__ import annotations

import pytest

from tests.unit.orchestrator.support import (
    ManualClock,
    Office,
)
from tests.unit.orchestrator.watched import WatchedStore


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def watched() -> tuple[Office, WatchedStore]:
    store = WatchedStore(ManualClock())
    return Office(store=store), store
