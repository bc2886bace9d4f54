"""What the engine needs from the outside, as small Protocols: an event store, a transport, a clock.

Owns the contracts, which one suite (`saga_engine.testing`) checks for every adapter. Knows no SQL and no NATS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeAlias, TypeVar
from uuid import UUID

from saga_engine.envelope import EventRecord, Message, StreamHead
from saga_engine.immutable import dataclass

T = TypeVar("T")

WHOLE: Final = -1
"""Asks `EventStore.load` for all events, whatever snapshots there are."""


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
        """At most `limit` ids under which an event or a business key stands, but no row: none, unless somebody

        deleted one. Looks through the whole store.
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
        """How many sagas there are, by (saga name, status); `open_only`: of those that have not ended, which costs

        as much as there are of them, however many have ended.
        """
        ...

    def open_sagas(self, saga: str, most: int) -> int:
        """How many sagas of that name have not ended, counted up to `most`."""
        ...

    def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep snapshots; an older one of the same stream is replaced, a newer one stays."""
        ...

    def register(self, definitions: Sequence[DefinitionRecord]) -> Sequence[DefinitionRecord | None]:
        """Store definitions. For each: None when it is stored now (or was already), else the differing record that

        holds the same saga and version, and then nothing of this entry is written.
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


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a message: `deliveries` counts from 1, `token` is the adapter's own handle for settling it."""

    message: Message
    deliveries: int
    token: object


class Subscription(Protocol):
    """A durable, batching consumer. What is not settled within its ack wait is delivered again."""

    async def receive(self, limit: int) -> Sequence[Delivery]:
        """Wait until there is at least one delivery, then return what has arrived, at most `limit`.

        Survives a server that goes away: it waits until it is back. Raises `TransportUnavailableError` once closed.
        """
        ...

    async def ack(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these. Best effort: a lost ack is a later redelivery."""
        ...

    async def retry_later(self, deliveries: Sequence[Delivery], delay: float) -> None:
        """Put these back, to be delivered again after `delay` seconds."""
        ...

    async def in_progress(self, deliveries: Sequence[Delivery]) -> None:
        """Still at work on these: the ack wait starts anew."""
        ...

    async def close(self) -> None:
        """Stop receiving. Unsettled deliveries go to others after the ack wait."""
        ...


class Transport(Protocol):
    """The doorbell. Anything it carries may be lost, repeated, delayed or reordered, even when it was acknowledged."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        """Send all, in order, in a window; True for each that the broker acknowledged in time (also as a duplicate).

        False means unknown. Never raises for an unreachable broker: that is False for all, after the time limit.
        """
        ...

    async def commands(self, participant: str) -> Subscription:
        """The durable consumer of a participant's commands, shared by all its workers."""
        ...

    async def replies(self, partitions: Sequence[int]) -> Subscription:
        """The durable consumers of these partitions' replies, as one flow."""
        ...

    async def ring(self, partitions: Sequence[int]) -> None:
        """Wake whoever owns these partitions. Core NATS, best effort, never raises for an unreachable broker."""
        ...

    async def on_ring(self, ringing: Callable[[int], None]) -> Callable[[], Awaitable[None]]:
        """Call `ringing(partition)` at each ring, until the returned function is awaited."""
        ...

    def losses(self) -> int:
        """How often the streams were found re-created or emptied under us: a change means that all is sent again."""
        ...

    async def close(self) -> None:
        """Close the connection after what was sent is flushed, within a bound."""
        ...


class EventBell(Protocol):
    """Hears which sagas publish something. Best effort: what is missed is found in the store."""

    async def listen(self, share: str, subjects: Sequence[str], heard: Callable[[UUID], None]) -> None:
        """Call `heard(saga id)` for events on the engine's own subjects and on these, for as long as there is a

        connection. Of those that listen with the same `share`, one hears each event.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listening:
    """Who wants the domain events of a subject: a durable `name`, under which each event is taken once."""

    name: str
    subject: str


@dataclass(frozen=True, slots=True)
class HeardEvent:
    """A domain event for who listens as `listening`. `at`: since when the broker has it, in microseconds."""

    listening: str
    at: int
    delivery: Delivery


class EventSubscription(Protocol):
    """Domain events, durable: what is not settled within its ack wait is delivered again."""

    async def receive(self, limit: int) -> Sequence[HeardEvent]:
        """As `Subscription.receive`. Raises `TransportUnavailableError` once it is closed or has to be made anew."""
        ...

    async def ack(self, events: Sequence[HeardEvent]) -> None:
        """Done with these. Best effort: a lost ack is a later redelivery."""
        ...

    async def retry_later(self, events: Sequence[HeardEvent], delay: float) -> None:
        """Put these back, to be delivered again after `delay` seconds."""
        ...

    async def close(self) -> None:
        """Stop receiving. Unsettled events go to others after the ack wait."""
        ...


class EventFeed(Protocol):
    """The domain events that anybody publishes, for those who act on them."""

    async def listen(self, wanted: Sequence[Listening]) -> EventSubscription:
        """All of these as one flow, each from when it was first listened for. Shared by all who use the same names.

        Raises `TransportUnavailableError` when the broker does not answer, or keeps none of these events.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that nobody could work on. `sequence`: its number among the dead letters, `at`: since when it is one,

    in microseconds. `size`: bytes of its body. `body` None: it was only listed.
    """

    sequence: int
    at: int
    participant: str
    headers: Mapping[str, str]
    size: int
    body: bytes | None = None


class DeadLetters(Protocol):
    """The dead letters, for operators. All raise `TransportUnavailableError` when the broker does not answer."""

    async def newest(
        self, limit: int, *, before: int | None = None, participant: str | None = None
    ) -> Sequence[DeadLetter]:
        """At most `limit` letters without bodies, newest first: below that sequence, and of that participant."""
        ...

    async def get(self, sequence: int) -> DeadLetter | None:
        """One letter with its body; None when there is none of that sequence (any more)."""
        ...

    async def remove(self, sequence: int) -> None:
        """Take a letter away. One that is not there is no matter."""
        ...


class Clock(Protocol):
    """Time. `now` is the store's clock in microseconds; `sleep` takes seconds and may be virtual."""

    def now(self) -> int: ...

    async def sleep(self, seconds: float) -> None: ...
