"""What a stream's row learns after the event: that all was acknowledged, when the saga is due next; and the snapshots.

Most rows learn it with their next append. Owns the others, which are told together and not at once, and whoever has to
leave the cache. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import UUID

from saga_engine.codec import encode_state
from saga_engine.core.state import SagaState
from saga_engine.envelope import StreamHead
from saga_engine.orchestrator.cache import Cached, StateCache
from saga_engine.ports.store import EventStore, RunSync, Settlement, Snapshot

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_NEVER: Final = 2**63 - 1


class Upkeep:
    """Rows that say less than is known here. For the one thread that transacts."""

    def __init__(self, store: EventStore, cache: StateCache, run_sync: RunSync, snapshot_from: int) -> None:
        self._store = store
        self._cache = cache
        self._run_sync = run_sync
        self._snapshot_from = snapshot_from
        self._behind: dict[UUID, Cached] = {}
        self._aged: frozenset[UUID] = frozenset()
        """Those that were behind at the last look at them."""

    def __len__(self) -> int:
        """How many rows are behind what is known here."""
        return len(self._behind)

    def acknowledged(self, saga_id: UUID, version: int) -> None:
        """The broker has everything that a saga sent out up to a version: nothing of it is sent again.

        Of a saga that goes on the row learns it with the next append; of one that has ended, or waits for nothing
        timed, with the next `settle`.
        """
        cached = self._cache.look(saga_id)
        if cached is None:
            return
        if cached.unsent:
            cached.unsent = [each for each in cached.unsent if each.version > version]
        if not cached.unsent and cached.rests:
            cached.due = None
            if cached.row_due is not None:
                self._behind[saga_id] = cached

    def found_due(self, saga_id: UUID, cached: Cached) -> None:
        """Its row says that it is due. It was looked at, and nothing came of it."""
        self._behind[saga_id] = cached

    def told(self, saga_id: UUID) -> None:
        """An append has said all there is to say."""
        if self._behind:
            self._behind.pop(saga_id, None)

    def knows_better(self, head: StreamHead) -> int | None:
        """When a saga whose row says that it is due is due in truth; None: its row is not known to be behind.

        The row may have been read before we wrote it: then what we wrote counts.
        """
        cached = self._behind.get(head.stream_id)
        if cached is None or cached.state.version != head.version:
            cached = self._cache.look(head.stream_id)
            if cached is None or not _outdates(cached, head):
                return None
        return _NEVER if cached.due is None else cached.due

    async def settle_aged(self) -> None:
        """Tell the store about the rows that were behind at the last call already, and are still.

        Of a saga that goes on at once the row says all with its next append: to tell it before is a write for nothing.

        Raises:
            StoreUnavailableError: they are behind still.
        """
        aged = {saga_id: cached for saga_id, cached in self._behind.items() if saga_id in self._aged}
        self._aged = frozenset(self._behind.keys() - aged.keys())
        await self._settle(aged)

    async def settle(self) -> None:
        """Tell the store about all rows that are behind, in one statement.

        Raises:
            StoreUnavailableError: they are behind still.
        """
        await self._settle(self._behind)

    async def _settle(self, behind: Mapping[UUID, Cached]) -> None:
        self._behind = {saga_id: cached for saga_id, cached in self._behind.items() if saga_id not in behind}
        try:
            await self._tell(list(behind.items()))
        except BaseException:
            self._behind = {**behind, **self._behind}
            raise
        for saga_id, cached in behind.items():
            if cached.state.ended_as is not None and cached.row_due is None:
                self._cache.drop(saga_id)

    async def hand_over(self, leaving: Callable[[UUID], bool]) -> None:
        """Forget sagas that others will look after, once the store knows all that was acknowledged for them."""
        await self.settle()
        out = [(saga_id, cached) for saga_id, cached in self._cache if leaving(saga_id)]
        await self._tell([(saga_id, cached) for saga_id, cached in out if cached.settled < cached.published])
        for saga_id, _ in out:
            self._cache.drop(saga_id)

    async def make_room(self) -> None:
        """Take out of the cache what is too much, with snapshots of the long ones."""
        out = self._cache.overflow()
        if not out:
            return
        await self._tell([(saga_id, cached) for saga_id, cached in out if cached.settled < cached.published])
        await self.snapshot(cached.state for _, cached in out if cached.state.version >= self._snapshot_from)

    async def snapshot(self, states: Iterable[SagaState]) -> None:
        """Write snapshots. One that cannot be written is missed by nobody but whoever reads the stream: logged."""
        snapshots: list[Snapshot] = []
        for state in states:
            try:
                snapshots.append(Snapshot(state.saga_id, state.version, encode_state(state)))
            except TypeError as error:
                _log().error("a snapshot cannot be made", saga_id=str(state.saga_id), exc_info=error)
        if not snapshots:
            return
        try:
            await self._run_sync(partial(self._store.save_snapshots, snapshots))
        except Exception as error:  # noqa: BLE001 - what it belongs to is committed, and must go on
            _log().warning(
                "snapshots could not be written", sagas=len(snapshots), error=f"{type(error).__name__}: {error}"
            )

    async def _tell(self, sagas: Sequence[tuple[UUID, Cached]]) -> None:
        if not sagas:
            return
        settlements = [
            Settlement(saga_id, cached.state.version, cached.published, cached.due) for saga_id, cached in sagas
        ]
        await self._run_sync(partial(self._store.settle, settlements))
        for settlement, (_, cached) in zip(settlements, sagas, strict=True):
            # Otherwise an append was quicker, and the row has what that said.
            if cached.state.version == settlement.version:
                cached.row_due, cached.settled = settlement.next_due, settlement.published


def _outdates(cached: Cached, head: StreamHead) -> bool:
    """Whether this row was read before we wrote what we know of it: an append, or that it is due later."""
    if cached.state.version != head.version:
        return cached.state.version > head.version
    return head.next_due is not None and (cached.row_due is None or cached.row_due > head.next_due)


def _log() -> FilteringBoundLogger:
    # Imported late: with it comes all of rich, and a client that starts a saga has nothing to log here.
    import structlog

    log: FilteringBoundLogger = structlog.get_logger(__name__)
    return log
