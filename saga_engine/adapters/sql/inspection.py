"""Reads everything that stands under a stream id, as it is: for whoever doubts what is stored.

Relies on order where it needs a consistent look, as `read` does. Writes nothing, and trusts no row to fit another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, exists, select, union

from saga_engine.adapters.sql.read import chunks
from saga_engine.adapters.sql.rows import head_of, record_of, select_heads
from saga_engine.adapters.sql.writer import Writer
from saga_engine.envelope import EventRecord, StreamHead
from saga_engine.ports.store import KeyRecord, Snapshot, StoredStream
from saga_engine.sql.schema import events, keys, snapshots, streams
from saga_engine.sql.transaction import run_query

_KEYS: Final = select(keys.c.saga, keys.c.key, keys.c.generation, keys.c.stream_id, keys.c.input_hash)
# One statement, so that it sees either all of a commit or nothing of it.
_STRAYS: Final = union(
    *(
        select(table.c.stream_id).where(~exists().where(streams.c.stream_id == table.c.stream_id)).distinct()
        for table in (events, keys)
    )
).limit(bindparam("most"))


class Inspector:
    """The doubting half of a store."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer
        self._heads_of = select_heads().where(writer.among(streams.c.stream_id))
        self._snapshots_of = select(snapshots.c.stream_id, snapshots.c.version, snapshots.c.data).where(
            writer.among(snapshots.c.stream_id)
        )
        columns = (events.c.stream_id, events.c.version, events.c.type, events.c.data, events.c.at, events.c.batch_id)
        self._events_of = (
            select(*columns).where(writer.among(events.c.stream_id)).order_by(events.c.stream_id, events.c.version)
        )
        # By business key: there is no index by stream, and a whole table for a page of sagas would be too much.
        self._keys_named = _KEYS.where(keys.c.key.in_(bindparam("named", expanding=True)))
        self._keys_of = _KEYS.where(writer.among(keys.c.stream_id))

    def stored(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StoredStream]:
        """See `ports.EventStore`."""
        found: dict[UUID, StoredStream] = {}
        for ids in chunks(stream_ids):
            found |= run_query(self._engine, partial(self._stored, ids))
        return found

    def strays(self, limit: int) -> Sequence[UUID]:
        """See `ports.EventStore`."""
        return run_query(self._engine, lambda connection: connection.execute(_STRAYS, {"most": limit}).scalars().all())

    def _stored(self, ids: Sequence[UUID], connection: Connection) -> dict[UUID, StoredStream]:
        wanted = {"ids": self._writer.ids(ids)}
        kept = {row[0]: Snapshot(*row) for row in connection.execute(self._snapshots_of, wanted)}
        before = self._heads(connection, wanted)
        records: defaultdict[UUID, list[tuple[EventRecord, UUID]]] = defaultdict(list)
        for stream_id, version, kind, data, at, batch_id in connection.execute(self._events_of, wanted):
            records[stream_id].append((record_of(version, kind, data, at), batch_id))
        after = self._heads(connection, wanted)
        held = self._keys(connection, before, ids)
        return {
            stream_id: _stream(
                before.get(stream_id),
                after.get(stream_id),
                held.get(stream_id),
                kept.get(stream_id),
                records[stream_id],
            )
            for stream_id in ids
            if stream_id in before or stream_id in records or stream_id in held
        }

    def _heads(self, connection: Connection, wanted: Mapping[str, object]) -> dict[UUID, StreamHead]:
        heads = (head_of(row._tuple()) for row in connection.execute(self._heads_of, dict(wanted)))
        return {head.stream_id: head for head in heads}

    def _keys(
        self, connection: Connection, heads: Mapping[UUID, StreamHead], ids: Sequence[UUID]
    ) -> dict[UUID, KeyRecord]:
        """The keys that belong to these ids: those that their rows name, and of ids without a row all there are."""
        named = sorted({head.key for head in heads.values()})
        found = list(connection.execute(self._keys_named, {"named": named})) if named else []
        stray = [stream_id for stream_id in ids if stream_id not in heads]
        if stray:
            found += connection.execute(self._keys_of, {"ids": self._writer.ids(stray)})
        return {record.stream_id: record for record in (KeyRecord(*row) for row in found)}


def _stream(
    before: StreamHead | None,
    after: StreamHead | None,
    key: KeyRecord | None,
    snapshot: Snapshot | None,
    records: Sequence[tuple[EventRecord, UUID]],
) -> StoredStream:
    """The row as it was before its events were read. What was committed meanwhile is left out."""
    moved = before is not None and after is not None and after.version != before.version
    seen = [each for each in records if not moved or before is None or each[0].version <= before.version]
    return StoredStream(before, key, snapshot, tuple(r for r, _ in seen), tuple(batch for _, batch in seen))
