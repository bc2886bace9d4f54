"""What a store holds of its sagas: as slices to be judged page by page, or as records of a history.

Owns the way from the port `EventStore` to both. Reads only; holds one page at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from saga_engine.audit.case import KnownDefinition, SagaHistory, Surroundings
from saga_engine.audit.definitions import known_definition
from saga_engine.audit.history import Record, Section
from saga_engine.audit.records.stored import DefinitionRow, KeyRow, SnapshotRow, StoredEvent, StreamRow
from saga_engine.envelope import StreamHead
from saga_engine.errors import NotFoundError
from saga_engine.ports.store import EventStore, StoredStream, StreamFilter

SECTIONS: Final = frozenset(
    {
        Section.STREAMS,
        Section.BATCHES,
        Section.SNAPSHOTS,
        Section.DEFINITIONS,
        Section.KEYS,
        Section.NOW,
    }
)
"""What a store alone keeps of a history."""

PAGE: Final = 200
MOST_EVENTS: Final = 20_000
"""How many sagas are looked up at once, and how many events at most are held, unless one saga has more."""

MOST_STRAYS: Final = 1_000


class StoredDefinitions:
    """The definitions of a store by hash, each read when it is first asked for."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._known: dict[str, KnownDefinition | None] = {}

    def __call__(self, hash: str) -> KnownDefinition | None:
        """The definition of that hash; None: it is not there."""
        if hash not in self._known:
            record = self._store.definition(hash)
            row = None if record is None else DefinitionRow(record.hash, record.saga, _text(record.content))
            self._known[hash] = None if row is None else known_definition(row)
        return self._known[hash]


def pages(store: EventStore, saga: str | None = None) -> Iterator[Sequence[SagaHistory]]:
    """All sagas of a store, or those of one name, newest first; what begins meanwhile is left out.

    Of all sagas, also what stands in the store without a row, up to 1,000 ids.
    """
    before: UUID | None = None
    while True:
        heads = store.list(StreamFilter(saga=saga, before=before, limit=PAGE))
        for ids in _portions(heads):
            yield slices(store, ids)
        if len(heads) < PAGE:
            break
        before = heads[-1].stream_id
    if saga is None:
        strays = store.strays(MOST_STRAYS)
        for start in range(0, len(strays), PAGE):
            yield slices(store, strays[start : start + PAGE])


def _portions(heads: Sequence[StreamHead]) -> Iterator[Sequence[UUID]]:
    """Ids to be read at once, so that long streams do not fill the memory."""
    ids: list[UUID] = []
    held = 0
    for head in heads:
        # A row that somebody has changed may say anything.
        events = head.version if isinstance(head.version, int) else MOST_EVENTS
        if ids and held + events > MOST_EVENTS:
            yield ids
            ids, held = [], 0
        ids.append(head.stream_id)
        held += events
    if ids:
        yield ids


def named(store: EventStore, id_or_key: str, saga: str | None = None) -> Sequence[SagaHistory]:
    """The saga of that id, whatever is left of it, or all that bear that business key, in all generations.

    Raises:
        NotFoundError: there is none.
    """
    ids = [record.stream_id for record in store.find(id_or_key, saga)]
    if not ids:
        with suppress(ValueError):
            ids = [UUID(id_or_key)]
    found = slices(store, ids)
    if not found:
        raise NotFoundError(f"no saga with id or key {id_or_key!r}{f' named {saga}' if saga else ''}")
    return found


def slices(store: EventStore, saga_ids: Sequence[UUID]) -> Sequence[SagaHistory]:
    """These sagas, as they are stored. What has gone meanwhile is left out."""
    return [_slice(saga_id, stream) for saga_id, stream in store.stored(saga_ids).items()]


def surroundings(store: EventStore) -> Surroundings:
    """What a store alone tells of what surrounds its sagas."""
    return Surroundings(SECTIONS, definition=StoredDefinitions(store), now=store.now())


def stored_records(store: EventStore) -> Iterator[Record]:
    """Everything that a store holds of its sagas, as records: for a history that has more than a store alone."""
    hashes: dict[str, None] = {}
    for page in pages(store):
        for saga in page:
            if saga.row is not None:
                hashes[saga.row.head.definition_hash] = None
                yield saga.row
            yield from saga.stored
            if saga.key is not None:
                yield saga.key
            if saga.snapshot is not None:
                yield saga.snapshot
    for hash in hashes:
        record = store.definition(hash)
        if record is not None:
            yield DefinitionRow(record.hash, record.saga, _text(record.content))


def _slice(saga_id: UUID, stream: StoredStream) -> SagaHistory:
    head, key, snapshot = stream.head, stream.key, stream.snapshot
    return SagaHistory(
        saga_id,
        row=None if head is None else StreamRow(head),
        key=None if key is None else KeyRow(key.saga, key.key, key.generation, key.stream_id, key.input_hash),
        snapshot=None if snapshot is None else SnapshotRow(saga_id, snapshot.version, _text(snapshot.data)),
        stored=[
            StoredEvent(saga_id, record.version, record.type, _text(record.data), record.at, batch_id)
            for record, batch_id in zip(stream.events, stream.batch_ids, strict=True)
        ],
    )


def _text(data: bytes) -> str:
    """What is no text is no JSON either way, and is told as such by who reads it."""
    return data.decode("utf-8", "replace")
