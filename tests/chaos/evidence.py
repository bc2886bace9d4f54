"""What is left when a chaos run is at rest, written down as a history: the stores, the ledgers, the broker.

Owns reading it, past every proxy. Judges nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import nats
from sqlalchemy import Connection, MetaData, Table, select

from saga_engine.adapters.sql.rows import head_of, select_heads
from saga_engine.audit.files import Writer
from saga_engine.audit.history import Kept, Looked, Record, Rest, Section
from saga_engine.audit.recording import inbox_rows
from saga_engine.audit.records.participants import Balance, LedgerKind, LedgerRow, LockHeld
from saga_engine.audit.records.stored import DefinitionRow, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.audit.records.surroundings import Remainder
from saga_engine.core.events import Direction
from saga_engine.sql.engine import open_engine
from saga_engine.sql.schema import definitions, events, keys, snapshots, streams
from saga_engine.wire.subjects import COMMANDS, REPLIES
from tests.chaos.fleet import ACCOUNTS, BALANCE, BANK, ENGINE, PARTICIPANTS, WALLETS, Fleet

_KEPT = (
    Section.STREAMS,
    Section.BATCHES,
    Section.SNAPSHOTS,
    Section.DEFINITIONS,
    Section.KEYS,
    Section.LEDGER,
    Section.INBOX,
    Section.BALANCES,
    Section.LOCKS,
    Section.REMAINDERS,
    Section.REST,
)


async def write_evidence(fleet: Fleet, path: Path) -> None:
    """Write the history of everything that the servers hold."""
    with Writer(path) as writer:
        writer.write(Kept(_KEPT))
        with _reading(fleet, ENGINE) as connection:
            for record in _engine_rows(connection):
                writer.write(record)
        for participant in PARTICIPANTS:
            with _reading(fleet, participant) as connection:
                for record in _participant_rows(participant, connection):
                    writer.write(record)
        for stream, messages in (await waiting_messages(fleet)).items():
            writer.write(Remainder(f"messages in {stream}", messages))
        writer.write(Looked(now := time.time_ns() // 1_000))
        writer.write(Rest(now))


async def waiting_messages(fleet: Fleet) -> dict[str, int]:
    """How many messages the work queues hold."""
    client = await nats.connect(f"nats://127.0.0.1:{fleet.broker.port}")
    try:
        infos = {name: await client.jetstream().stream_info(name) for name in (COMMANDS, REPLIES)}
        return {name: info.state.messages for name, info in infos.items()}
    finally:
        await client.close()


@contextmanager
def _reading(fleet: Fleet, database: str) -> Iterator[Connection]:
    engine = open_engine(fleet.postgres.url(database))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _engine_rows(connection: Connection) -> Iterator[Record]:
    for row in connection.execute(select(definitions.c.hash, definitions.c.saga, definitions.c.content)):
        yield DefinitionRow(row.hash, row.saga, row.content)
    for row in connection.execute(select(keys)):
        yield KeyRow(row.saga, row.key, row.generation, row.stream_id, row.input_hash)
    for head in connection.execute(select_heads().order_by(streams.c.stream_id)):
        yield StreamRow(head_of(head._tuple()))
    for row in connection.execute(select(events).order_by(events.c.stream_id, events.c.version)):
        yield StoredEvent(row.stream_id, row.version, row.type, row.data, row.at, row.batch_id)
    for row in connection.execute(select(snapshots)):
        yield SnapshotRow(row.stream_id, row.version, row.data.decode())


def _participant_rows(participant: str, connection: Connection) -> Iterator[Record]:
    """The ledger by time: what follows from something on this one machine has a later one."""
    tables = MetaData()
    tables.reflect(connection, only=("effects", "accounts", "locks"))
    effects, locks = tables.tables["effects"], tables.tables["locks"]
    for order, row in enumerate(connection.execute(select(effects).order_by(effects.c.at, effects.c.id))):
        direction = Direction(row.direction)
        kind = LedgerKind.EFFECT if direction is Direction.FORWARD else LedgerKind.COMPENSATION
        yield LedgerRow(
            participant,
            row.key,
            UUID(row.saga_id),
            row.step,
            row.item,
            direction,
            kind,
            row.at,
            order,
            row.amount,
        )
    yield from inbox_rows(participant, connection)
    yield from _balances(participant, connection, tables.tables["accounts"])
    for row in connection.execute(select(locks.c.saga_id).where(locks.c.status == "pending")):
        yield LockHeld(participant, UUID(row.saga_id), "a pending row in locks")


def _balances(participant: str, connection: Connection, accounts: Table) -> Iterator[Balance]:
    if participant in (BANK, WALLETS):
        yield Balance(participant, "money", ACCOUNTS * BALANCE, BALANCE, at_rest=False)
        balances = list(connection.scalars(select(accounts.c.balance)))
        yield Balance(participant, "money", sum(balances), min(balances), at_rest=True)
