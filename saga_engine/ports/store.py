"""What the engine needs of a database: the streams of all sagas, their keys, definitions, snapshots and leases.

Owns that contract, which one suite (`saga_engine.testing`) checks for every store. Knows no SQL.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar
from uuid import UUID

from saga_engine.envelope import EventRecord, StreamHead
from saga_engine.immutable import dataclass

T = TypeVar("T")

WHOLE: Final = -1
"""Asks `EventStore.load` for all events, whatever snapshots there are."""

SHORT: Final = 20
"""Events up to which a stream is short: to read it with its row costs no more than to look at the row alone."""


class RunSync(Protocol):
    """Runs one blocking store call: in a thread in production, inline in simulation."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class NewStream:
    """What a start adds: the business key (unique per saga name and generation) and the pinned definition."""

    saga: str
    key: str
    generation: int
    input_hash: str
    definition_version: int
    definition_hash: str


@dataclass(frozen=True, slots=True)
class Append:
    """Events for one stream, to be written if its version is still `expected_version` (0, with `new`: a start).

    Events carry versions `expected_version + 1` and up. `published` moves the row's cursor. `due`: the stored
    `next_due` becomes the earlier of the two (None leaves it), or with `moves_due` just that (None: never due), which
    costs the store more. `ended_at` set: the saga ended with these events.
    """

    stream_id: UUID
    expected_version: int
    events: Sequence[EventRecord]
    status: str
    published: int
    due: int | None
    ended_at: int | None
    new: NewStream | None
    moves_due: bool = False


@dataclass(frozen=True, slots=True)
class Appended:
    """Committed: the stream is at `version` now."""

    version: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """The compare-and-set was lost: somebody else appended (or the stream is not there). Nothing was written."""


@dataclass(frozen=True, slots=True)
class KeyTaken:
    """A start lost: the business key of that generation belongs to this saga already. Nothing was written."""

    stream_id: UUID
    input_hash: str


AppendOutcome: TypeAlias = Appended | Conflict | KeyTaken


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became known after a commit: all up to `published` is acknowledged, and the saga is next due at `next_due`.

    Written only while the stream is still at `version`; else it is dropped, since the next append will say it.
    """

    stream_id: UUID
    version: int
    published: int
    next_due: int | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folded state, encoded by the codec, up to `version`."""

    stream_id: UUID
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LoadedStream:
    """A stream as read in one consistent look: its row, the newest snapshot at or below it, the events after that."""

    head: StreamHead
    snapshot: Snapshot | None
    events: Sequence[EventRecord]


@dataclass(frozen=True, slots=True)
class StoredStream:
    """Everything that stands under one stream id, as it is, for whoever doubts it: nothing is left out or put right.

    `head`, `key` and `snapshot` are None where there is no such row. `batch_ids` stand beside the events: which commit
    wrote each.
    """

    head: StreamHead | None
    key: KeyRecord | None
    snapshot: Snapshot | None
    events: Sequence[EventRecord]
    batch_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """Which saga a business key belongs to, newest generation first when several are asked for."""

    saga: str
    key: str
    generation: int
    stream_id: UUID
    input_hash: str


@dataclass(frozen=True, slots=True)
class DefinitionRecord:
    """A stored definition: `content` is its canonical JSON, `hash` the SHA-256 of that (hex).

    `version` None: a pinned content that no version names (a definition with its children expanded).
    """

    hash: str
    saga: str
    version: int | None
    content: bytes


@dataclass(frozen=True, slots=True)
class StreamFilter:
    """Which sagas to list, newest first or `oldest_first`. `before`: page on from below this id."""

    saga: str | None = None
    statuses: Sequence[str] = ()
    before: UUID | None = None
    limit: int = 50
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """Time-bound ownership of a name, on the store's clock (`expires_at`, microseconds). For speed only."""

    name: str
    owner: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class LeaseChange:
    """Take, renew or (with `expires_at` 0) hand back a lease, if it still is as it was seen (None: not there)."""

    name: str
    owner: str
    expires_at: int
    seen: Lease | None


class EventStore(Protocol):
    """The event store. Calls block, are whole transactions, and are safe from several threads and processes.

    All raise `StoreUnavailableError` when the database cannot be reached or refuses work for now, after the store's own
    bounded retries of serialization failures; the caller may repeat any call.
    """

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        """Write many sagas in one commit, a verdict for each in order; losers drop out, the others are committed.

        Repeating a call whose commit is unknown is settled inside: what was written by it counts as written.
        At most one entry per stream.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Move the published cursors (never back) and next due times of many sagas in one statement."""
        ...

    def load(self, wanted: Mapping[UUID, int]) -> Mapping[UUID, LoadedStream]:
        """Read streams, each from after a version (0: from its snapshot or the start; `WHOLE`: without snapshot).

        Unknown ids are absent.
        """
        ...

    def stored(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StoredStream]:
        """Everything that stands under these ids, in one consistent look; ids under which nothing stands are absent.

        For an audit: it reads whole streams, and rows that `load` would not look at.
        """
        ...

    def strays(self, limit: int) -> Sequence[UUID]:
        """At most `limit` ids under which an event or a business key stands, but no row.

        None, unless somebody deleted one. Looks through the whole store.
        """
        ...

    def versions(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """The stored version of each stream. Unknown ids are absent."""
        ...

    def heads(self, stream_ids: Sequence[UUID]) -> Mapping[UUID, StreamHead]:
        """The row of each stream. Unknown ids are absent."""
        ...

    def due(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead]:
        """Sagas of these partitions whose next due time is at or before `now`, earliest first."""
        ...

    def due_with_events(self, partitions: Sequence[int], now: int, limit: int) -> Sequence[StreamHead | LoadedStream]:
        """As `due`, for few: a stream of at most `SHORT` events comes with all of them, and without a snapshot."""
        ...

    def unpublished(self, partition: int, after: UUID | None, limit: int) -> Sequence[StreamHead]:
        """Sagas of a partition whose published cursor is behind their version, by id, from after `after`.

        Only those with a next due time are looked at: a saga that ended and was published has none.
        """
        ...

    def find(self, key: str, saga: str | None = None) -> Sequence[KeyRecord]:
        """All holders of a business key, by saga name, newest generation first."""
        ...

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        """One page of sagas, in the order asked for."""
        ...

    def counts(self, *, open_only: bool = False) -> Mapping[tuple[str, str], int]:
        """How many sagas there are, by (saga name, status).

        `open_only`: of those that have not ended, which costs as much as there are of them, however many have ended.
        """
        ...

    def open_sagas(self, saga: str, most: int) -> int:
        """How many sagas of that name have not ended, counted up to `most`."""
        ...

    def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep snapshots; an older one of the same stream is replaced, a newer one stays."""
        ...

    def register(self, definitions: Sequence[DefinitionRecord]) -> Sequence[DefinitionRecord | None]:
        """Store definitions.

        For each: None when it is stored now (or was already), else the differing record that holds the same saga and
        version, and then nothing of this entry is written.
        """
        ...

    def definition(self, hash: str) -> DefinitionRecord | None:
        """The definition of that content hash."""
        ...

    def definitions(self, saga: str | None = None) -> Sequence[DefinitionRecord]:
        """All named versions, by saga and version ascending."""
        ...

    def leases(self) -> Sequence[Lease]:
        """All leases, expired ones too."""
        ...

    def change_leases(self, changes: Sequence[LeaseChange]) -> Sequence[bool]:
        """Compare-and-set each lease; True where it is now as asked."""
        ...

    def reply_keys(self) -> Mapping[str, bytes]:
        """The secrets of the reply tokens by key id, newest id last; the first call makes one."""
        ...

    def now(self) -> int:
        """The database's clock, in microseconds since 1970."""
        ...

    def close(self) -> None:
        """Give back all connections. Later calls raise `StoreUnavailableError`."""
        ...
