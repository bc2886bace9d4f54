"""`SqlEventStore`: the port `EventStore` on a SQL database, put together from one part per concept.

Chooses the dialect's writer and the isolation level. Holds no state beyond its engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Dialect, Double, Engine, cast, extract, func, literal, select

from saga_engine.adapters.sql.append import Appender
from saga_engine.adapters.sql.definitions import DefinitionShelf
from saga_engine.adapters.sql.inspection import Inspector
from saga_engine.adapters.sql.leases import LeaseTable
from saga_engine.adapters.sql.read import Reader
from saga_engine.adapters.sql.reply_keys import SqlReplyKeys
from saga_engine.adapters.sql.snapshots import save_snapshots
from saga_engine.adapters.sql.writer import Writer
from saga_engine.envelope import StreamHead
from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import (
    Append,
    AppendOutcome,
    DefinitionRecord,
    KeyRecord,
    Lease,
    LeaseChange,
    LoadedStream,
    Settlement,
    Snapshot,
    StoredStream,
    StreamFilter,
)
from saga_engine.sql.direct import Statement
from saga_engine.sql.engine import describe
from saga_engine.sql.transaction import run_query, run_transaction

READ_COMMITTED: Final = "READ COMMITTED"

# In floating point from end to end: CockroachDB multiplies no float by an integer. It is exact to a microsecond.
_SECONDS: Final = cast(extract("epoch", func.clock_timestamp()), Double)
_NOW: Final = Statement(select(cast(_SECONDS * literal(1e6, Double), BigInteger)))


def machine_time() -> int:
    """This machine's clock, in microseconds since 1970."""
    return time.time_ns() // 1_000


class SqlEventStore:
    """The event store on CockroachDB, PostgreSQL or SQLite. Takes over `engine` (see `sql.engine.open_engine`).

    `isolation`: of writing transactions; READ COMMITTED is enough, since safety is the compare-and-set and the primary
    keys. SQLite has one level only. `new_id` makes the ids that tell our own commits from those of others.
    `machine_time` is the clock of SQLite, which has none of its own; servers are asked for theirs.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        isolation: str = READ_COMMITTED,
        new_id: Callable[[], UUID] = uuid4,
        machine_time: Callable[[], int] = machine_time,
    ) -> None:
        self._engine = engine
        self._embedded = engine.dialect.name == "sqlite"
        self._isolation = None if self._embedded else isolation
        self._writer = _writer(engine.dialect)
        self._appender = Appender(engine, self._writer, self._isolation, new_id)
        self._reader = Reader(engine, self._writer)
        self._definitions = DefinitionShelf(engine, self._isolation)
        self._leases = LeaseTable(engine, self._isolation)
        self._machine_time = machine_time
        self._closed = False

    @cached_property
    def _inspector(self) -> Inspector:
        """Made when it is needed: few who open a store doubt it."""
        return Inspector(self._engine, self._writer)

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        self._check_open()
        return self._appender.append(appends)

    def settle(self, settlements: Sequence[Settlement]) -> None:
        self._check_open()
        if not settlements:
            return
        ordered = sorted(settlements, key=lambda settlement: settlement.stream_id.int)
        run_transaction(
            self._engine,
            lambda connection: self._writer.settle(connection, ordered),
            isolation=self._isolation,
            alone=self._writer.at_once,
            repeatable=True,
        )

    def load(self, wanted: Mapping[UUID, int]) -> Mapping[UUID, LoadedStream]:
        self._check_open()
        return self._reader.load(wanted)

    def stored(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StoredStream]:
        self._check_open()
        return self._inspector.stored(stream_ids)

    def strays(self, limit: int) -> Sequence[UUID]:
        self._check_open()
        return self._inspector.strays(limit)

    def versions(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        self._check_open()
        return self._reader.versions(stream_ids)

    def heads(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StreamHead]:
        self._check_open()
        return self._reader.heads(stream_ids)

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        self._check_open()
        return self._reader.due(partitions, now, limit)

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        self._check_open()
        return self._reader.due_with_events(partitions, now, limit)

    def unpublished(self, partition: int, after: UUID | None, limit: int) -> Sequence[StreamHead]:
        self._check_open()
        return self._reader.unpublished(partition, after, limit)

    def find(self, key: str, saga: str | None = None) -> Sequence[KeyRecord]:
        self._check_open()
        return self._reader.find(key, saga)

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        self._check_open()
        return self._reader.page(wanted)

    def counts(self, *, open_only: bool = False) -> Mapping[tuple[str, str], int]:
        self._check_open()
        return self._reader.counts(open_only=open_only)

    def open_sagas(self, saga: str, most: int) -> int:
        self._check_open()
        return self._reader.open_sagas(saga, most)

    def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        self._check_open()
        save_snapshots(self._engine, self._isolation, snapshots)

    def register(self, definitions: Sequence[DefinitionRecord]) -> Sequence[DefinitionRecord | None]:
        self._check_open()
        return self._definitions.register(definitions)

    def definition(self, hash: str) -> DefinitionRecord | None:
        self._check_open()
        return self._definitions.get(hash)

    def definitions(self, saga: str | None = None) -> Sequence[DefinitionRecord]:
        self._check_open()
        return self._definitions.named(saga)

    def leases(self) -> Sequence[Lease]:
        self._check_open()
        return self._leases.all()

    def change_leases(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        self._check_open()
        return self._leases.change(changes)

    def reply_keys(self) -> Mapping[str, bytes]:
        self._check_open()
        return self.kept_keys().secrets()

    def kept_keys(self) -> SqlReplyKeys:
        """The keys of the reply tokens, for whoever exchanges them."""
        return SqlReplyKeys(self._engine, self._isolation, self.now)

    def now(self) -> int:
        self._check_open()
        if self._embedded:
            return self._machine_time()
        ((now,),) = run_query(self._engine, lambda connection: _NOW.fetch(connection))
        return now

    def close(self) -> None:
        self._closed = True
        self._engine.dispose()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError(f"{describe(self._engine.url)}: the store is closed")


def _writer(dialect: Dialect) -> Writer:
    """The dialect's writer; the other one is not imported, which would build statements that nobody executes."""
    if dialect.name == "sqlite":
        from saga_engine.adapters.sql.sqlite_writer import SQLITE_WRITER

        return SQLITE_WRITER
    from saga_engine.adapters.sql.postgres_writer import PostgresWriter

    return PostgresWriter(dialect)
