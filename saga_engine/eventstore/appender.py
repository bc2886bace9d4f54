"""Gathers appends that come at the same time into one commit, so that many clients share what a commit costs.

While one commit is under way the next batch collects. Knows no gRPC.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from saga_engine.errors import UnavailableError
from saga_engine.eventstore.event import AppendOutcome, Entry, Stored
from saga_engine.ports.store import RunSync
from saga_engine.tally import Tally

MOST_WAITING: Final = 10_000
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Appends, and bytes of their data, that may wait for a commit; further ones are refused."""

_MOST_AT_ONCE: Final = 200

_log = structlog.get_logger(__name__)


class OverloadedError(Exception):
    """More appends wait than may."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    outcome: asyncio.Future[AppendOutcome]


class Appender:
    """`append` is the store's; `on_stored` is called with the entries that were written, after their commit."""

    def __init__(
        self,
        append: Callable[[Sequence[Entry]], Sequence[AppendOutcome]],
        run_sync: RunSync,
        on_stored: Callable[[Sequence[Entry]], None],
    ) -> None:
        self._append = append
        self._run_sync = run_sync
        self._on_stored = on_stored
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._news = asyncio.Event()
        self.stored = 0
        """Events that were stored; repetitions are not among them."""
        self.committing = Tally()

    @property
    def waiting(self) -> int:
        """Appends that wait for a commit."""
        return len(self._waiting)

    async def append(self, entry: Entry) -> AppendOutcome:
        """Append one event with whatever else is there.

        Raises `OverloadedError` when too many wait, `UnavailableError` when the store does not serve: then it is
        unknown whether the event was stored, and the same append may be repeated.
        """
        if len(self._waiting) >= MOST_WAITING or self._bytes >= MOST_WAITING_BYTES:
            raise OverloadedError
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._bytes += len(entry.event.data)
        self._news.set()
        return await waiting.outcome

    async def run(self) -> None:
        """Commit batch after batch, until cancelled."""
        while True:
            await self._news.wait()
            taken = self._waiting[:_MOST_AT_ONCE]
            del self._waiting[:_MOST_AT_ONCE]
            self._bytes -= sum(len(one.entry.event.data) for one in taken)
            # A client that has gone away before its turn wants nothing any more.
            batch = [one for one in taken if not one.outcome.done()]
            if not self._waiting:
                self._news.clear()
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        entries = [one.entry for one in batch]
        begun = asyncio.get_running_loop().time()
        try:
            outcomes = await self._run_sync(lambda: self._append(entries))
        except asyncio.CancelledError:
            for one in batch:
                one.outcome.cancel()
            raise
        except UnavailableError as error:
            _settle(batch, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who wait, not to this task
            _log.exception("a batch of events could not be appended", events=len(batch))
            _settle(batch, error)
            return
        self.committing.add(round((asyncio.get_running_loop().time() - begun) * 1_000_000))
        written = [
            entry
            for entry, outcome in zip(entries, outcomes, strict=True)
            if isinstance(outcome, Stored) and not outcome.repeated
        ]
        self.stored += len(written)
        if written:
            self._on_stored(written)
        for one, outcome in zip(batch, outcomes, strict=True):
            if not one.outcome.done():
                one.outcome.set_result(outcome)


def _settle(batch: Sequence[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.outcome.done():
            one.outcome.set_exception(error)
