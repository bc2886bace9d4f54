"""Folded sagas in memory, so that a reply need not read the stream again.

For speed only: what is stale loses its commit and is read again. Bounded by count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from saga_engine.core.outgoing import Outgoing
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState


@dataclass(slots=True, eq=False)
class Cached:
    """A saga as last committed or read.

    `unsent`: what the broker has not acknowledged yet, in order. `settled`: the published cursor as the row knows it.
    `due`: when somebody must look at it; `rests`: only because of what is unsent. `row_due`: what the row says of that,
    which may be earlier. `used`: since the cache last looked for somebody to leave.
    """

    plan: Plan
    state: SagaState
    unsent: Sequence[Outgoing]
    settled: int
    due: int | None = None
    row_due: int | None = None
    rests: bool = False
    used: bool = False

    @property
    def published(self) -> int:
        """Everything that versions up to this one send out is acknowledged."""
        return self.unsent[0].version - 1 if self.unsent else self.state.version


class StateCache:
    """Sagas that were not used for long go first (the clock algorithm: to use one costs nothing but a mark)."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._sagas: dict[UUID, Cached] = {}

    def __len__(self) -> int:
        return len(self._sagas)

    def __iter__(self) -> Iterator[tuple[UUID, Cached]]:
        return iter(list(self._sagas.items()))

    def get(self, saga_id: UUID) -> Cached | None:
        found = self._sagas.get(saga_id)
        if found is not None:
            found.used = True
        return found

    def look(self, saga_id: UUID) -> Cached | None:
        """The same without using it."""
        return self._sagas.get(saga_id)

    def put(self, saga_id: UUID, cached: Cached) -> None:
        self._sagas[saga_id] = cached

    def drop(self, saga_id: UUID) -> None:
        self._sagas.pop(saga_id, None)

    def overflow(self) -> list[tuple[UUID, Cached]]:
        """Take out what is above the capacity, and a sixteenth more, so that it need not be looked for each time."""
        if len(self._sagas) <= self._capacity:
            return []
        excess = len(self._sagas) - self._capacity + self._capacity // 16
        idle = [entry for entry in self._sagas.items() if not entry[1].used]
        for cached in self._sagas.values():
            cached.used = False
        # All were used since the last time: then the oldest go.
        out = idle[:excess] or list(self._sagas.items())[:excess]
        for saga_id, _ in out:
            del self._sagas[saga_id]
        return out
