"""How far a projection is behind the store: in sagas, in events, and in time.

Reads only. It compares every saga with its checkpoint, so it costs as much as there are sagas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from saga_engine.ports.store import EventStore
from saga_engine.projections.sweep import Behind, Sweep
from saga_engine.projections.taking import Taker

_SHOWN: Final = 20
"""Sagas that are held back and named, at most."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A saga whose next event cannot be taken in."""

    saga: str
    key: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a projection is behind the store.

    `sagas`: all there are; `behind` of them have `events` that were not seen, the oldest since `oldest` (its time in
    microseconds; None: nothing is behind). `troubled` of those are held back, the first of which are in `held_back`.
    """

    projection: str
    sagas: int
    behind: int
    events: int
    oldest: int | None
    troubled: int
    held_back: Sequence[HeldBack]


def lag_of(store: EventStore, taker: Taker, report: Callable[[int, int], None]) -> Lag:
    """Compare. Blocking. `report` is told how many sagas were looked at, of how many.

    Raises:
        StoreUnavailableError: a database cannot be asked.
    """
    sweep = Sweep(store, taker)
    count = sweep.count()
    sagas = behind = events = troubled = 0
    oldest: int | None = None
    held_back: list[HeldBack] = []
    for page in sweep.all():
        sagas += page.looked
        behind += len(page.behind)
        events += sum(one.head.version - one.version for one in page.behind)
        times = first_unseen(store, page.behind)
        oldest = min([*times, *([] if oldest is None else [oldest])], default=None)
        for one in page.behind:
            if one.checkpoint is not None and one.checkpoint.trouble is not None:
                troubled += 1
                if len(held_back) < _SHOWN:
                    held_back.append(HeldBack(one.head.saga, one.head.key, one.version + 1, one.checkpoint.trouble))
        report(sagas, count)
    return Lag(taker.projection.name, sagas, behind, events, oldest, troubled, held_back)


@dataclass(frozen=True, slots=True)
class RecentLag:
    """As `Lag`, of the sagas that are looked at often: the newest, and those whose end was not seen."""

    behind: int
    troubled: int
    oldest: int | None


def recent_lag_of(store: EventStore, taker: Taker) -> RecentLag:
    """Compare those. Blocking; costs as much as there is going on, as the follower's own look does.

    Raises:
        StoreUnavailableError: a database cannot be asked.
    """
    # One that is new and has not ended is looked at twice.
    behind = {one.head.stream_id: one for page in Sweep(store, taker).recent() for one in page.behind}
    troubled = [one for one in behind.values() if one.checkpoint is not None and one.checkpoint.trouble is not None]
    return RecentLag(len(behind), len(troubled), min(first_unseen(store, [*behind.values()]), default=None))


def first_unseen(store: EventStore, behind: Sequence[Behind]) -> list[int]:
    """When the first event happened that was not seen, of each saga, microseconds. Raises `StoreUnavailableError`."""
    begun = {one.head.stream_id: one.version for one in behind if one.version}
    times = [one.head.started_at for one in behind if not one.version]
    return times + [stream.events[0].at for stream in store.load(begun).values() if stream.events] if begun else times
