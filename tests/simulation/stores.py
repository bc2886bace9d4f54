"""The real event store on a connection of one process; it also counts what its callers lose and take over.

Owns the counting. Where it fails, its connection does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from uuid import UUID

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.ports import Append, AppendOutcome, Conflict, LeaseChange
from tests.simulation.processes import Process
from tests.simulation.world import World


class CountingStore(SqlEventStore):
    """Counts conflicts, and partitions that are taken over from another owner."""

    seen: Counter[str]

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
    return store
