"""The real event store on a connection of one process; it also counts what its callers lose and take over.

Owns the counting, and not asking for what is not there: most of the time nothing is due or left behind. Where it fails,
its connection does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import UUID

from saga_engine.adapters.sql.store import SqlEventStore
from saga_engine.envelope import StreamHead
from saga_engine.ports.store import Append, AppendOutcome, Conflict, LeaseChange, LoadedStream
from tests.simulation.databases import Database
from tests.simulation.processes import Process
from tests.simulation.world import World

_ASKED_FOR_NOTHING: Final = 8
"""Of so many questions that have no answer one is asked, so that it too can fail."""

_DUE: Final = "SELECT partition FROM saga_streams WHERE next_due <= ?"
_LEFT_BEHIND: Final = "SELECT 1 FROM saga_streams WHERE published < version AND partition = ?"


class CountingStore(SqlEventStore):
    """Counts conflicts, and partitions that are taken over from another owner."""

    seen: Counter[str]
    database: Database
    _vain: int = 0

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        found = self.database.connection.execute(_DUE, (now,)).fetchall()
        if self._left_out(any(partition in partitions for (partition,) in found)):
            return ()
        return super().due(partitions, now, limit)

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        found = self.database.connection.execute(_DUE, (now,)).fetchall()
        if self._left_out(any(partition in partitions for (partition,) in found)):
            return ()
        return super().due_with_events(partitions, now, limit)

    def unpublished(self, partition: int, after: UUID | None, limit: int) -> Sequence[StreamHead]:
        if self._left_out(self.database.connection.execute(_LEFT_BEHIND, (partition,)).fetchone() is not None):
            return ()
        return super().unpublished(partition, after, limit)

    def _left_out(self, found: bool) -> bool:
        """Whether a question need not be asked, for what the database would answer is known."""
        self._vain += not found
        return not found and self._vain % _ASKED_FOR_NOTHING != 0

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
