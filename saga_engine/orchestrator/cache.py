"""Folded sagas in memory, the most recently used ones, so that a reply need not read the stream again.

For speed only: what is stale loses its commit and is read again. Bounded by count.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from saga_engine.core.outgoing import Outgoing
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState


@dataclass(slots=True)
class Cached:
    """A saga as last committed or read.

    `unsent`: what the broker has not acknowledged yet, in order. `settled`: the published cursor as the row knows it.
    """

    plan: Plan
    state: SagaState
    unsent: tuple[Outgoing, ...]
    settled: int

    @property
    def published(self) -> int:
        """Everything that versions up to this one send out is acknowledged."""
        return self.unsent[0].version - 1 if self.unsent else self.state.version


class StateCache:
    """Least recently used sagas go first. Only the thread that transacts may call it."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._sagas: OrderedDict[UUID, Cached] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sagas)

    def __iter__(self) -> Iterator[tuple[UUID, Cached]]:
        return iter(list(self._sagas.items()))

    def get(self, saga_id: UUID) -> Cached | None:
        found = self._sagas.get(saga_id)
        if found is not None:
            self._sagas.move_to_end(saga_id)
        return found

    def put(self, saga_id: UUID, cached: Cached) -> None:
        self._sagas[saga_id] = cached
        self._sagas.move_to_end(saga_id)

    def drop(self, saga_id: UUID) -> None:
        self._sagas.pop(saga_id, None)

    def overflow(self) -> list[tuple[UUID, Cached]]:
        """Take out what is above the capacity, oldest use first."""
        out = []
        while len(self._sagas) > self._capacity:
            out.append(self._sagas.popitem(last=False))
        return out
