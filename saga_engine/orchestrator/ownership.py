"""Which partitions this orchestrator works on: takes them over, and hands them on.

Owns the transitions between two holdings. Who holds what is the leases' affair, and for speed only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol
from uuid import UUID

import structlog

from saga_engine.envelope import partition_of
from saga_engine.errors import UnavailableError
from saga_engine.orchestrator.leases import Leases
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync

_LOOKS_MORE_OFTEN: Final = 4
"""While others have yet to hand us our share: their sagas rest from then on until we take them."""

_log = structlog.get_logger(__name__)


class Partitioned(Protocol):
    """What works on partitions, and has to be told which."""

    async def leave(self, leaving: Callable[[UUID], bool]) -> None:
        """Let go of these sagas; others look after them from now on. Raises `UnavailableError`."""
        ...

    async def listen(self, partitions: frozenset[int]) -> None:
        """Receive from exactly these. Raises `UnavailableError`."""
        ...

    def look_after(self, partitions: frozenset[int], gained: frozenset[int]) -> None:
        """These are ours now, and `gained` were not before: their sagas may have been left behind."""
        ...


class Ownership:
    """Holds our share of the partitions for whoever works on them."""

    def __init__(
        self, leases: Leases, worker: Partitioned, clock: Clock, run_sync: RunSync, interval: float, name: str
    ) -> None:
        self._leases = leases
        self._worker = worker
        self._clock = clock
        self._run_sync = run_sync
        self._interval = interval
        self._partitions: frozenset[int] = frozenset()
        self._heard: frozenset[int] = frozenset()
        """From which we receive: none while a change is under way, or after it has failed."""
        self._log = _log.bind(orchestrator=name)

    @property
    def held(self) -> int:
        """How many partitions are ours."""
        return len(self._partitions)

    async def hold(self) -> None:
        """Keep our share. While the store is away we go on: a lease is for speed only. Runs until cancelled."""
        while True:
            pause = self._interval
            try:
                holding = await self._run_sync(self._leases.renew)
            except UnavailableError as error:
                self._log.warning("leases could not be renewed", error=str(error))
            else:
                await self._own(holding.partitions)
                if not holding.settled:
                    pause /= _LOOKS_MORE_OFTEN
            await self._clock.sleep(pause)

    async def give_up(self) -> None:
        """Hand everything back, so that others need not wait. Raises `UnavailableError`."""
        await self._worker.leave(lambda _: True)
        await self._run_sync(self._leases.leave)

    async def _own(self, partitions: frozenset[int]) -> None:
        if partitions == self._partitions == self._heard:
            return
        lost = self._partitions - partitions
        try:
            if lost:
                await self._worker.leave(partial(_is_in, lost))
                # Whatever comes of the rest: should they come back, they are gained anew.
                self._partitions -= lost
            self._heard = frozenset()
            await self._worker.listen(partitions)
        except UnavailableError as error:
            self._log.warning("partitions could not be taken over; trying again", error=str(error))
            return
        gained = partitions - self._partitions
        self._partitions = self._heard = partitions
        self._log.info("partitions changed", held=sorted(partitions), gained=sorted(gained), lost=sorted(lost))
        self._worker.look_after(partitions, gained)


def _is_in(partitions: frozenset[int], saga_id: UUID) -> bool:
    return partition_of(saga_id) in partitions
