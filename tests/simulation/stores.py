"""The real event store on a connection of one process; it also counts what its callers lose and take over.

Owns the counting, and not asking again what cannot have changed: most of the hours of a schedule nothing is due. Where
it fails, its connection does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.envelope import StreamHead
from saga_engine.ports import Append, AppendOutcome, Conflict, LeaseChange
from tests.simulation.databases import Database
from tests.simulation.processes import Process
from tests.simulation.world import World

_EVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class _Quiet:
    """Nothing is due before `until`, unless rows have changed since `generation`."""

    generation: int
    until: int


class CountingStore(SqlEventStore):
    """Counts conflicts, and partitions that are taken over from another owner."""

    seen: Counter[str]
    database: Database
    _quiet: _Quiet | None = None
    _quiet_for: tuple[int, ...] = ()

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        generation, asked = self.database.generation, tuple(partitions)
        quiet = self._quiet if self._quiet_for == asked else None
        if quiet is not None and quiet.generation == generation and now < quiet.until:
            return ()
        heads = super().due(partitions, now, limit)
        if not heads:
            soonest = super().due(partitions, _EVER, 1)
            until = soonest[0].next_due if soonest else _EVER
            self._quiet, self._quiet_for = _Quiet(generation, _EVER if until is None else until), asked
        return heads

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        outcomes = super().append(appends)
        self.seen["conflicts"] += sum(isinstance(outcome, Conflict) for outcome in outcomes)
        return outcomes

    def change_leases(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        granted = super().change_leases(changes)
        self.seen["lease take-overs"] += sum(
            ok and change.seen is not None and change.expires_at > 0 and change.seen.owner != change.owner
            for change, ok in zip(changes, granted, strict=True)
        )
        return granted


def open_store(world: World, process: Process) -> CountingStore:
    """The event store as this process has it."""
    chance = Random(f"{world.seed} batches {process.name} {world.recorder.tick()}")
    store = CountingStore(
        world.store.open(process),
        new_id=lambda: UUID(bytes=chance.randbytes(16)),
        machine_time=world.machine_time,
    )
    store.seen = world.recorder.counts
    store.database = world.store
    return store
