"""Finds the sagas of which a projection has not seen everything, by comparing the store's versions with checkpoints.

Changes nothing. How often to look, and what to do about them, is the follower's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from saga_engine.envelope import StreamHead
from saga_engine.ports.store import EventStore, StreamFilter
from saga_engine.projections.checkpoints import Checkpoint
from saga_engine.projections.taking import Taker

PAGE: Final = 500
_FIRST: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Behind:
    """A saga with events that were not seen. `trouble`: why they could not be taken when that was last tried."""

    head: StreamHead
    checkpoint: Checkpoint | None

    @property
    def version(self) -> int:
        """Up to which version it was seen."""
        return 0 if self.checkpoint is None else self.checkpoint.version


@dataclass(frozen=True, slots=True)
class Page:
    """Some sagas that were looked at. `known`: of how many there is a checkpoint."""

    looked: int
    known: int
    behind: Sequence[Behind]


class Sweep:
    """Looks through the sagas that one projection follows. Blocking; raises `StoreUnavailableError`."""

    def __init__(self, store: EventStore, taker: Taker) -> None:
        self._store = store
        self._taker = taker
        self._sagas: tuple[str | None, ...] = taker.projection.sagas or (None,)

    def all(self) -> Iterator[Page]:
        """Every saga, newest first."""
        return map(self._page, self.heads())

    def heads(self) -> Iterator[Sequence[StreamHead]]:
        """The same without a look at the checkpoints."""
        for saga in self._sagas:
            yield from self._newest(saga)

    def recent(self) -> Iterator[Page]:
        """What is new since the last time, most likely.

        The newest ones, back to where all are known, and all those whose end was not seen. Costs as much as there is
        going on, not as much as there ever was.
        """
        for saga in self._sagas:
            for page in map(self._page, self._newest(saga)):
                yield page
                if page.known == page.looked:
                    break
        after = _FIRST
        while found := self._taker.checkpoints.open(self._taker.engine, after, PAGE):
            yield self._page([*self._store.heads(list(found)).values()])
            after = max(found)

    def count(self) -> int:
        """How many sagas there are to look at."""
        wanted = self._taker.projection.sagas
        return sum(many for (saga, _), many in self._store.counts().items() if not wanted or saga in wanted)

    def _newest(self, saga: str | None) -> Iterator[Sequence[StreamHead]]:
        before: UUID | None = None
        while heads := self._store.list(StreamFilter(saga=saga, before=before, limit=PAGE)):
            yield heads
            before = heads[-1].stream_id

    def _page(self, heads: Sequence[StreamHead]) -> Page:
        known = self._taker.checkpoints.of(self._taker.engine, [head.stream_id for head in heads])
        found = [Behind(head, known.get(head.stream_id)) for head in heads]
        return Page(len(heads), len(known), [one for one in found if one.version < one.head.version])
