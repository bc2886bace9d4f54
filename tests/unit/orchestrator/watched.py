"""A memory store that tells what a transactor asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import Append, AppendOutcome, LoadedStream, Settlement
from tests.unit.orchestrator.support import (
    ManualClock,
)


class WatchedStore(MemoryEventStore):
    """A memory store that lets somebody else in before an append, and counts what is asked of it."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock.now)
        self.before_append: Callable[[], None] = lambda: None
        self.appends: list[int] = []
        self.loads: list[dict[UUID, int]] = []
        self.away = False

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        self.before_append()
        self.appends.append(len(appends))
        return super().append(appends)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        if self.away:
            raise StoreUnavailableError("away")
        super().settle(settlements)

    def load(self, wanted: Mapping[UUID, int]) -> Mapping[UUID, LoadedStream]:
        self.loads.append(dict(wanted))
        return super().load(wanted)
