"""What the databases hold, as records of the history: streams, keys, snapshots, definitions, ledgers, inboxes.

Owns reading, past all engines and faults. Changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from uuid import UUID

from saga_engine.audit.history import Record
from saga_engine.audit.records.participants import Balance, InboxRow, LedgerKind, LedgerRow, LockHeld
from saga_engine.audit.records.stored import DefinitionRow, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.core.events import Direction, Effect
from saga_engine.envelope import StreamHead, parse_key
from tests.simulation.images import OPENING


def store_records(connection: sqlite3.Connection) -> Iterator[Record]:
    """All of the engine's database."""
    orders = {
        (stream, version): tick
        for stream, version, tick in connection.execute("SELECT stream_id, version, tick FROM sim_order")
    }
    events = "SELECT stream_id, version, type, data, at, batch_id FROM saga_events ORDER BY stream_id, version"
    for stream, version, type, data, at, batch in connection.execute(events):
        ids = UUID(bytes=stream), UUID(bytes=batch)
        yield StoredEvent(ids[0], version, type, data, at, ids[1], orders.get((stream, version)))
    rows = (
        "SELECT stream_id, saga, key, generation, definition_version, definition_hash, partition, version, published,"
        " status, next_due, started_at, ended_at FROM saga_streams ORDER BY stream_id"
    )
    for stream, *rest in connection.execute(rows):
        yield StreamRow(StreamHead(UUID(bytes=stream), *rest))
    for stream, version, data in connection.execute("SELECT stream_id, version, data FROM saga_snapshots ORDER BY 1"):
        yield SnapshotRow(UUID(bytes=stream), version, bytes(data).decode())
    keys = "SELECT saga, key, generation, stream_id, input_hash FROM saga_keys ORDER BY 1, 2, 3"
    for saga, key, generation, stream, digest in connection.execute(keys):
        yield KeyRow(saga, key, generation, UUID(bytes=stream), digest)
    for digest, saga, content in connection.execute("SELECT hash, saga, content FROM saga_definitions ORDER BY 1"):
        yield DefinitionRow(digest, saga, content)


def participant_records(name: str, connection: sqlite3.Connection) -> Iterator[Record]:
    """All of a participant's database."""
    ledger = "SELECT key, saga_id, step, item, direction, kind, at, tick, amount FROM ledger ORDER BY tick"
    for key, saga, step, item, direction, kind, at, tick, amount in connection.execute(ledger):
        yield LedgerRow(
            name,
            key,
            UUID(saga),
            step,
            item,
            Direction(direction),
            LedgerKind(kind),
            at,
            tick,
            amount,
        )
    inbox = "SELECT key, outcome, effect, code, recorded_at FROM saga_inbox ORDER BY key"
    for key, outcome, effect, code, recorded_at in connection.execute(inbox):
        address = parse_key(key)
        assert address is not None
        yield InboxRow(name, key, address.saga_id, outcome, Effect(effect), code, recorded_at)
    for account, amount in connection.execute("SELECT name, amount FROM accounts ORDER BY name"):
        # Money is conserved whoever holds it.
        yield Balance(f"{name}/{account}", "money", OPENING, OPENING, at_rest=False)
        yield Balance(f"{name}/{account}", "money", amount, amount, at_rest=True)
    for saga, what in connection.execute("SELECT saga_id, what FROM locks ORDER BY 1, 2"):
        yield LockHeld(name, UUID(saga), what)


def stored_prefix(connection: sqlite3.Connection) -> dict[tuple[bytes, int], str]:
    """Every stored event as it is now, to be compared with later: nothing may ever change."""
    return {
        (stream, version): f"{type} {at} {data}"
        for stream, version, type, at, data in connection.execute(
            "SELECT stream_id, version, type, at, data FROM saga_events"
        )
    }
