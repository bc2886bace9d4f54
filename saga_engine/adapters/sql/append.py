"""Appends many sagas in one commit: who won, who lost, and what became of a commit whose outcome is unknown.

Knows transactions and verdicts. The statements are the writer's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, select, tuple_

from saga_engine.adapters.batch import check_batch
from saga_engine.adapters.sql.writer import Writer
from saga_engine.ports.store import Append, Appended, AppendOutcome, Conflict, KeyTaken
from saga_engine.sql.direct import Statement
from saga_engine.sql.pacing import pacing_of
from saga_engine.sql.schema import events, keys
from saga_engine.sql.transaction import (
    RETRY_FOR_S,
    CommitUnknownError,
    ContendedError,
    longest_pause,
    run_query,
    run_transaction,
)

TRIES_OF_A_BATCH: Final = 2
"""After so many aborts a batch is halved, down to single sagas: somebody else wants one of them."""

_LANDED: Final = Statement(
    select(events.c.stream_id).where(
        tuple_(events.c.stream_id, events.c.version).in_(bindparam("firsts", expanding=True)),
        events.c.batch_id == bindparam("batch_id", type_=events.c.batch_id.type),
    )
)
_HOLDERS: Final = Statement(
    select(keys.c.key, keys.c.saga, keys.c.generation, keys.c.stream_id, keys.c.input_hash).where(
        tuple_(keys.c.key, keys.c.saga, keys.c.generation).in_(bindparam("wanted", expanding=True))
    )
)


@dataclass(slots=True)
class _Call:
    """One call of `append`: what its commits are known by, and how many of them had an unknown outcome."""

    batch_id: UUID
    give_up_at: float
    doubts: int = 0


class Appender:
    """Writes batches of appends for one store."""

    def __init__(self, engine: Engine, writer: Writer, isolation: str | None, new_id: Callable[[], UUID]) -> None:
        self._engine = engine
        self._writer = writer
        self._isolation = isolation
        self._new_id = new_id
        self._pacing = pacing_of(engine)

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        """A verdict for each, in order. Raises `ValueError` for what can never be written."""
        check_batch(appends)
        if not appends:
            return []
        # Two batches that share sagas take their rows in the same order.
        batch = sorted(appends, key=lambda append: append.stream_id.int)
        call = _Call(self._new_id(), self._pacing.monotonic() + RETRY_FOR_S)
        won = self._commit(batch, call)
        if call.doubts:
            # A commit in doubt may have happened after we looked: then a later try lost against ourselves.
            won |= self._landed(batch, call.batch_id)
        if len(won) == len(batch):
            # As nearly always: then nobody's id has to be looked up, which costs more than the verdict.
            return [_appended(append) for append in appends]
        verdicts = self._verdicts(batch, won)
        return [verdicts[append.stream_id] for append in appends]

    def _commit(self, batch: Sequence[Append], call: _Call) -> set[UUID]:
        """Write a batch, in halves where it is contended; the ids of the streams that were written."""
        try:
            return self._write(batch, call)
        except ContendedError:
            if len(batch) == 1:
                raise
            middle = len(batch) // 2
            return self._commit(batch[:middle], call) | self._commit(batch[middle:], call)

    def _write(self, batch: Sequence[Append], call: _Call) -> set[UUID]:
        """Write a batch in one commit; an unknown commit is settled by reading what is there."""
        starts = [append for append in batch if append.new is not None]
        advances = [append for append in batch if append.new is None]

        def work(connection: Connection) -> set[UUID]:
            won: set[UUID] = set()
            if starts:
                won |= self._writer.start(connection, starts, call.batch_id)
            if advances:
                won |= self._writer.advance(connection, advances, call.batch_id)
            return won

        alone = self._writer.at_once and not (starts and advances)
        tries = TRIES_OF_A_BATCH if len(batch) > 1 else None
        while True:
            try:
                # All parts of a call share its time, and each has at least one try.
                left = max(0.0, call.give_up_at - self._pacing.monotonic())
                return run_transaction(
                    self._engine, work, isolation=self._isolation, alone=alone, tries=tries, retry_for=left
                )
            except CommitUnknownError:
                call.doubts += 1
                landed = self._landed(batch, call.batch_id)
                if landed:
                    return landed
                if self._pacing.monotonic() >= call.give_up_at:
                    raise
                self._pacing.pause(longest_pause(call.doubts))

    def _landed(self, batch: Sequence[Append], batch_id: UUID) -> set[UUID]:
        firsts = [(append.stream_id, append.expected_version + 1) for append in batch]
        parameters = {"firsts": firsts, "batch_id": batch_id}
        rows = run_query(self._engine, lambda connection: _LANDED.fetch(connection, parameters))
        return {stream_id for (stream_id,) in rows}

    def _verdicts(self, batch: Sequence[Append], won: set[UUID]) -> dict[UUID, AppendOutcome]:
        losers = [append for append in batch if append.stream_id not in won]
        holders = self._holders(losers)
        verdicts: dict[UUID, AppendOutcome] = {}
        for append in batch:
            if append.stream_id in won:
                verdicts[append.stream_id] = _appended(append)
            elif append.new is None:
                verdicts[append.stream_id] = Conflict()
            else:
                verdicts[append.stream_id] = holders[(append.new.key, append.new.saga, append.new.generation)]
        return verdicts

    def _holders(self, losers: Sequence[Append]) -> dict[tuple[str, str, int], KeyTaken]:
        wanted = [(append.new.key, append.new.saga, append.new.generation) for append in losers if append.new]
        if not wanted:
            return {}
        rows = run_query(self._engine, lambda connection: _HOLDERS.fetch(connection, {"wanted": wanted}))
        return {(key, saga, generation): KeyTaken(holder, digest) for key, saga, generation, holder, digest in rows}


def _appended(append: Append) -> Appended:
    return Appended(append.expected_version + len(append.events))
