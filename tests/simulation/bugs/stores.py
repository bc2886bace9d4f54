"""Bugs of the event store: the compare-and-set, the business key, and commits whose outcome is unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, select
from sqlalchemy.exc import DBAPIError

from saga_engine.adapters.sql import sqlite_writer
from saga_engine.adapters.sql.append import Appender
from saga_engine.adapters.sql.sqlite_writer import SqliteWriter
from saga_engine.codec import encode_state
from saga_engine.core.state import SagaState
from saga_engine.orchestrator import upkeep
from saga_engine.ports.store import Append
from saga_engine.sql import transaction
from saga_engine.sql.direct import Statement
from saga_engine.sql.schema import streams
from tests.simulation.bugs.seeded import Replacement, SeededBug, seeded

T = TypeVar("T")


@seeded("A3", "A4", "A6", "B1", "C2", "C3")
def commit_issued_again_on_a_new_session() -> Iterator[Replacement]:
    """The connection broke during COMMIT, so COMMIT is sent again on another one, which has nothing to commit."""

    def run(engine: Engine, work: Callable[[Connection], T], isolation: str | None) -> T:
        with engine.connect() as connection:
            begun = connection.begin()
            try:
                result = work(connection)
            except BaseException:
                connection.rollback()
                raise
            try:
                begun.commit()
            except DBAPIError:
                connection.invalidate()
                with engine.connect() as other:
                    other.commit()
            return result

    yield Replacement(transaction, "_transaction", run)


@seeded("A3", "A4", "A6", "B1", "D1", "D2")
def an_unknown_commit_taken_for_done() -> Iterator[Replacement]:
    """The connection was lost during COMMIT, and mostly that has been carried out."""

    def landed(self: Appender, batch: Sequence[Append], batch_id: UUID) -> set[UUID]:
        return {append.stream_id for append in batch}

    yield Replacement(Appender, "_landed", landed)


@seeded("A3", "A4", "A5", "B3", "B5", "B6", "B8", "D4")
def no_compare_and_set() -> Iterator[Replacement]:
    """Events are appended behind whatever is there by now."""
    real = SqliteWriter.advance
    versions = Statement(
        select(streams.c.stream_id, streams.c.version).where(
            streams.c.stream_id.in_(bindparam("ids", expanding=True)),
        )
    )

    def advance(self: SqliteWriter, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        stored = dict(versions.fetch(connection, {"ids": [append.stream_id for append in advances]}))
        behind = [_moved(append, stored.get(append.stream_id, 0)) for append in advances]
        return real(self, connection, behind, batch_id)

    yield Replacement(SqliteWriter, "advance", advance)


def _moved(append: Append, version: int) -> Append:
    events = [replace(event, version=version + i) for i, event in enumerate(append.events, start=1)]
    return replace(append, expected_version=version, events=events)


@seeded("A1", "A2", "A3", "A4", "A5", "B1", "D2")
def a_lease_trusted_for_safety() -> Iterator[Replacement]:
    """Only the holder of the lease writes, so it writes its versions without looking at what is there."""
    advance_any = sqlite_writer._ADVANCE.replace("saga_streams.version = ?", "? >= 0")
    insert_event = sqlite_writer._INSERT_EVENT.replace("INSERT INTO", "INSERT OR REPLACE INTO")

    def advance(self: SqliteWriter, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        rows = [sqlite_writer._advance_row(append) for append in advances]
        connection.exec_driver_sql(advance_any, rows)
        connection.exec_driver_sql(insert_event, sqlite_writer._event_rows(advances, batch_id))
        return {append.stream_id for append in advances}

    yield Replacement(SqliteWriter, "advance", advance)


@seeded("A3", "A4", "B1", "D1", "D2")
def a_loser_of_a_batch_taken_for_a_winner() -> Iterator[Replacement]:
    """The batch was committed, so all of its sagas were."""
    real = SqliteWriter.advance

    def advance(self: SqliteWriter, connection: Connection, advances: Sequence[Append], batch_id: UUID) -> set[UUID]:
        real(self, connection, advances, batch_id)
        return {append.stream_id for append in advances}

    yield Replacement(SqliteWriter, "advance", advance)


@seeded("A6")
def one_key_two_sagas() -> Iterator[Replacement]:
    """A start looks whether its key is taken before its transaction, and takes it without looking again."""
    insert, _, _ = sqlite_writer._INSERT_KEY.partition(" ON CONFLICT")
    insert_key = insert.replace("INSERT INTO", "INSERT OR REPLACE INTO")

    def start(self: SqliteWriter, connection: Connection, starts: Sequence[Append], batch_id: UUID) -> set[UUID]:
        fresh = [(start, start.new) for start in starts if start.new is not None]
        connection.exec_driver_sql(insert_key, [sqlite_writer._key_row(start, new) for start, new in fresh])
        rows = [sqlite_writer._stream_row(start, new) for start, new in fresh]
        connection.exec_driver_sql(sqlite_writer._INSERT_STREAM, rows)
        connection.exec_driver_sql(sqlite_writer._INSERT_EVENT, sqlite_writer._event_rows(starts, batch_id))
        return {start.stream_id for start in starts}

    yield Replacement(SqliteWriter, "start", start)


@seeded("A4")
def a_snapshot_that_loses_a_field() -> Iterator[Replacement]:
    """The ids of signals that were taken are left out of snapshots: the signals are in there."""

    def encode(state: SagaState) -> bytes:
        return encode_state(replace(state, signal_ids=frozenset()))

    yield Replacement(upkeep, "encode_state", encode)


BUGS: Final[tuple[SeededBug, ...]] = (
    commit_issued_again_on_a_new_session,
    an_unknown_commit_taken_for_done,
    no_compare_and_set,
    a_lease_trusted_for_safety,
    a_loser_of_a_batch_taken_for_a_winner,
    one_key_two_sagas,
    a_snapshot_that_loses_a_field,
)
