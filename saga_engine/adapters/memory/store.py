"""The event store in memory: the reference that the SQL stores are compared with, and the one of the test kit.

Keeps everything under one lock and for the life of the process. Imitates no database.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

from saga_engine.adapters.batch import check_batch
from saga_engine.core.state import Status
from saga_engine.envelope import EventRecord, StreamHead, partition_of
from saga_engine.errors import StoreUnavailableError
from saga_engine.ports.store import (
    SHORT,
    WHOLE,
    Append,
    Appended,
    AppendOutcome,
    Conflict,
    DefinitionRecord,
    KeyRecord,
    KeyTaken,
    Lease,
    LeaseChange,
    LoadedStream,
    NewStream,
    Settlement,
    Snapshot,
    StoredStream,
    StreamFilter,
)


def machine_time() -> int:
    """This machine's clock, in microseconds since 1970."""
    return time.time_ns() // 1_000


class MemoryEventStore:
    """`ports.EventStore` without a database. `now` is its clock, in microseconds."""

    def __init__(self, now: Callable[[], int] = machine_time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._closed = False
        self._heads: dict[UUID, StreamHead] = {}
        self._events: dict[UUID, list[EventRecord]] = {}
        self._batches: dict[UUID, list[UUID]] = {}
        self._keys: dict[tuple[str, str, int], KeyRecord] = {}
        self._snapshots: dict[UUID, Snapshot] = {}
        self._contents: dict[str, DefinitionRecord] = {}
        self._versions: dict[tuple[str, int], DefinitionRecord] = {}
        self._leases: dict[str, Lease] = {}
        self._reply_keys: dict[str, bytes] = {}

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        check_batch(appends)
        with self._opened():
            batch = uuid4()
            return [
                self._append(append, batch) if append.new is None else self._start(append, append.new, batch)
                for append in appends
            ]

    def _append(self, append: Append, batch: UUID) -> AppendOutcome:
        head = self._heads.get(append.stream_id)
        if head is None or head.version != append.expected_version:
            return Conflict()
        self._events[append.stream_id].extend(append.events)
        self._batches[append.stream_id].extend(batch for _ in append.events)
        self._heads[append.stream_id] = replace(
            head,
            version=append.expected_version + len(append.events),
            published=max(head.published, append.published),
            status=append.status,
            next_due=append.due if append.moves_due else _earlier(head.next_due, append.due),
            ended_at=head.ended_at if append.ended_at is None else append.ended_at,
        )
        return Appended(append.expected_version + len(append.events))

    def _start(self, append: Append, new: NewStream, batch: UUID) -> AppendOutcome:
        key = (new.saga, new.key, new.generation)
        holder = self._keys.get(key)
        if holder is not None:
            return KeyTaken(holder.stream_id, holder.input_hash)
        self._keys[key] = KeyRecord(new.saga, new.key, new.generation, append.stream_id, new.input_hash)
        self._events[append.stream_id] = list(append.events)
        self._batches[append.stream_id] = [batch for _ in append.events]
        self._heads[append.stream_id] = StreamHead(
            stream_id=append.stream_id,
            saga=new.saga,
            key=new.key,
            generation=new.generation,
            definition_version=new.definition_version,
            definition_hash=new.definition_hash,
            partition=partition_of(append.stream_id),
            version=len(append.events),
            published=append.published,
            status=append.status,
            next_due=append.due,
            started_at=append.events[0].at,
            ended_at=append.ended_at,
        )
        return Appended(len(append.events))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        with self._opened():
            for each in settlements:
                head = self._heads.get(each.stream_id)
                if head is not None and head.version == each.version:
                    published = max(head.published, each.published)
                    self._heads[each.stream_id] = replace(head, published=published, next_due=each.next_due)

    def load(self, wanted: Mapping[UUID, int]) -> Mapping[UUID, LoadedStream]:
        with self._opened():
            return {
                stream_id: self._load(self._heads[stream_id], after)
                for stream_id, after in wanted.items()
                if stream_id in self._heads
            }

    def _load(self, head: StreamHead, after: int) -> LoadedStream:
        snapshot = self._snapshots.get(head.stream_id) if after == 0 else None
        first = max(0, after) if snapshot is None else snapshot.version
        return LoadedStream(head, snapshot, tuple(self._events[head.stream_id][first:]))

    def stored(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StoredStream]:
        with self._opened():
            held = {record.stream_id: record for record in self._keys.values()}
            return {
                each: StoredStream(
                    self._heads[each],
                    held[each],
                    self._snapshots.get(each),
                    tuple(self._events[each]),
                    tuple(self._batches[each]),
                )
                for each in stream_ids
                if each in self._heads
            }

    def strays(self, limit: int) -> Sequence[UUID]:
        with self._opened():
            held = {record.stream_id: None for record in self._keys.values()}
            return [each for each in {**held, **self._events} if each not in self._heads][:limit]

    def versions(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        with self._opened():
            return {each: self._heads[each].version for each in stream_ids if each in self._heads}

    def heads(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StreamHead]:
        with self._opened():
            return {each: self._heads[each] for each in stream_ids if each in self._heads}

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        with self._opened():
            return self._due(partitions, now, limit)

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        with self._opened():
            found = self._due(partitions, now, limit)
            return [self._load(head, WHOLE) if head.version <= SHORT else head for head in found]

    def _due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        found = [
            (head.next_due, head.stream_id, head)
            for head in self._heads.values()
            if head.partition in partitions and head.next_due is not None and head.next_due <= now
        ]
        return [head for _, _, head in sorted(found, key=lambda entry: entry[:2])[:limit]]

    def unpublished(self, partition: int, after: UUID | None, limit: int) -> Sequence[StreamHead]:
        with self._opened():
            found = [
                head
                for head in self._heads.values()
                if head.partition == partition
                and head.next_due is not None
                and head.published < head.version
                and (after is None or head.stream_id > after)
            ]
        return sorted(found, key=lambda head: head.stream_id)[:limit]

    def find(self, key: str, saga: str | None = None) -> Sequence[KeyRecord]:
        with self._opened():
            found = [each for each in self._keys.values() if each.key == key and saga in (None, each.saga)]
        return sorted(found, key=lambda each: (each.saga, -each.generation))

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        with self._opened():
            found = [
                head
                for head in self._heads.values()
                if wanted.saga in (None, head.saga)
                and (not wanted.statuses or head.status in wanted.statuses)
                and (wanted.before is None or head.stream_id < wanted.before)
            ]
        return sorted(found, key=lambda head: head.stream_id, reverse=not wanted.oldest_first)[: wanted.limit]

    def counts(self, *, open_only: bool = False) -> Mapping[tuple[str, str], int]:
        with self._opened():
            heads = [head for head in self._heads.values() if not (open_only and Status(head.status).ended)]
            return Counter((head.saga, head.status) for head in heads)

    def open_sagas(self, saga: str, most: int) -> int:
        with self._opened():
            found = sum(head.saga == saga and not Status(head.status).ended for head in self._heads.values())
            return min(found, most)

    def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        with self._opened():
            for snapshot in snapshots:
                kept = self._snapshots.get(snapshot.stream_id)
                if kept is None or kept.version < snapshot.version:
                    self._snapshots[snapshot.stream_id] = snapshot

    def register(self, definitions: Sequence[DefinitionRecord]) -> Sequence[DefinitionRecord | None]:
        with self._opened():
            return [self._register(record) for record in definitions]

    def _register(self, record: DefinitionRecord) -> DefinitionRecord | None:
        if record.version is not None:
            holder = self._versions.setdefault((record.saga, record.version), record)
            if holder.hash != record.hash:
                return holder
            self._contents[record.hash] = record
        self._contents.setdefault(record.hash, record)
        return None

    def definition(self, hash: str) -> DefinitionRecord | None:
        with self._opened():
            return self._contents.get(hash)

    def definitions(self, saga: str | None = None) -> Sequence[DefinitionRecord]:
        with self._opened():
            return [record for (name, _), record in sorted(self._versions.items()) if saga in (None, name)]

    def leases(self) -> Sequence[Lease]:
        with self._opened():
            return sorted(self._leases.values(), key=lambda lease: lease.name)

    def change_leases(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        with self._opened():
            return [self._change(change) for change in changes]

    def _change(self, change: LeaseChange) -> bool:
        wanted = Lease(change.name, change.owner, change.expires_at)
        if self._leases.get(change.name) == change.seen:
            self._leases[change.name] = wanted
        return self._leases[change.name] == wanted if change.name in self._leases else False

    def reply_keys(self) -> Mapping[str, bytes]:
        with self._opened():
            self._reply_keys.setdefault("1", secrets.token_bytes(32))
            return dict(self._reply_keys)

    def now(self) -> int:
        with self._opened():
            return self._now()

    def close(self) -> None:
        with self._lock:
            self._closed = True

    def _opened(self) -> threading.Lock:
        """The lock, to be entered. Raises `StoreUnavailableError` when the store was closed."""
        if self._closed:
            raise StoreUnavailableError("memory: the store is closed")
        return self._lock


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
