"""Starting sagas: the pinned definition, the business key, the first events, many starts in one commit.

Owns what happens when a key is taken. Needs no orchestrator: who owns the partition takes up what was committed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias
from uuid import UUID

from saga_engine.core.inputs import Start
from saga_engine.core.state import Status
from saga_engine.definition.canonical import definition_bytes
from saga_engine.definition.inputs import InputCheck, input_hash
from saga_engine.definition.model import Definition, ExpressionFailed, Json
from saga_engine.definition.values import sha256_hex
from saga_engine.errors import SagaEngineError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.immutable import dataclass, replace
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import DefinitionRecord, EventStore, KeyRecord, NewStream

if TYPE_CHECKING:
    from saga_engine.tracing import Tracing

MOST_KEY: Final = 512
"""Characters of a business key: it is indexed, and stands in a header of every event that is published."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A definition that sagas are started with, its children expanded, and the hash of its content."""

    definition: Definition
    hash: str


@dataclass(frozen=True, slots=True)
class Ready:
    """What all starts of one definition share, made once: the stored definition, and the check of an input."""

    pinned: Pinned
    check: InputCheck


@dataclass(frozen=True, slots=True)
class StartRequest:
    """One saga to start; `input` has passed the definition's schema.

    `key` None: as the definition says.

    `again`: open the next generation of a key whose saga was compensated or closed.
    """

    pinned: Pinned
    input: Json
    key: str | None = None
    again: bool = False
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A new saga, committed. `key`: its business key, the saga's own id where the definition has none."""

    saga_id: UUID
    key: str


@dataclass(frozen=True, slots=True)
class AlreadyStarted:
    """The same key with the same input: the saga there is."""

    saga_id: UUID
    key: str


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The key belongs to a saga with another input."""

    saga_id: UUID
    key: str


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The saga cannot be started: its key has no value, or another generation is not allowed yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a start may not pass. `open_sagas`: of one definition at a time, None for any number."""

    open_sagas: int | None = None


StartOutcome: TypeAlias = Started | AlreadyStarted | KeyConflict | StartRefused
"""What came of a start whose input fits."""


@dataclass(frozen=True, slots=True)
class DefinitionChanged:
    """A version was registered with other content before. `stored` and `offered` are canonical JSON."""

    saga: str
    version: int
    stored: bytes
    offered: bytes


def register(store: EventStore, definitions: Sequence[Definition]) -> Sequence[DefinitionChanged]:
    """Make definitions, as written, known to the store; returns those whose version has another content already."""
    records = [_record(definition, definition.version) for definition in definitions]
    refused = store.register(records)
    return [
        DefinitionChanged(record.saga, record.version or 0, other.content, record.content)
        for record, other in zip(records, refused, strict=True)
        if other is not None
    ]


def changed_definitions(store: EventStore, definitions: Sequence[Definition]) -> Sequence[DefinitionChanged]:
    """What `register` would refuse. Writes nothing."""
    stored = {(record.saga, record.version): record for record in store.definitions()}
    records = [_record(definition, definition.version) for definition in definitions]
    return [
        DefinitionChanged(record.saga, record.version or 0, other.content, record.content)
        for record in records
        if (other := stored.get((record.saga, record.version))) is not None and other.hash != record.hash
    ]


def pin(store: EventStore, expanded: Definition) -> Pinned:
    """Keep the definition that sagas are started with, its children as they are now, under its content alone."""
    record = _record(expanded, None)
    store.register([record])
    return Pinned(expanded, record.hash)


def _record(definition: Definition, version: int | None) -> DefinitionRecord:
    content = definition_bytes(definition)
    return DefinitionRecord(sha256_hex(content), definition.saga, version, content)


NO_BOUNDS: Final = Bounds()

_RESULTS: Final = {Started: "started", AlreadyStarted: "is there already", KeyConflict: "conflict"}


class Starter:
    """Starts sagas through the transactor, whose store calls are inline. Blocking."""

    def __init__(
        self,
        store: EventStore,
        transactor: Transactor,
        ids: TimeOrderedIds,
        clock: Clock,
        bounds: Bounds = NO_BOUNDS,
    ) -> None:
        self._bounds = bounds
        self._store = store
        self._transactor = transactor
        self._ids = ids
        self._clock = clock

    def start(self, requests: Sequence[StartRequest]) -> Sequence[StartOutcome]:
        """Start many in one commit. Their definitions must be registered.

        Raises:
            StoreUnavailableError: unknown what was started; asking again with the same keys is safe.
        """
        outcomes: dict[int, StartOutcome] = {}
        turns: dict[int, Turn] = {}
        room: dict[str, int] = {}
        for i, request in enumerate(requests):
            turn = self._turn(request)
            if isinstance(turn, Turn):
                refused = self._too_many(turn, room)
                if refused is None:
                    turns[i] = turn
                else:
                    outcomes[i] = refused
            else:
                outcomes[i] = turn
        turned = finish(self._transactor.transact(list(turns.values())))
        for (i, turn), result in zip(turns.items(), turned, strict=True):
            outcomes[i] = self._outcome(turn, result)
        return [outcomes[i] for i in range(len(requests))]

    def _turn(self, request: StartRequest) -> Turn | StartOutcome:
        now = self._clock.now()
        saga_id = self._ids.new(now)
        key = request.key if request.key is not None else _key(request, saga_id)
        if isinstance(key, StartRefused):
            return key
        if len(key) > MOST_KEY:
            return StartRefused(f"the business key has {len(key):,} characters, at most {MOST_KEY:,}: use a hash of it")
        if _UNSTORABLE.search(key):
            return StartRefused(
                f"the business key {key!r} holds NUL or a lone surrogate, which PostgreSQL does not take"
            )
        definition, pinned = request.pinned.definition, request.pinned.hash
        digest, generation = input_hash(request.input), 1
        if request.again:
            known = self._store.find(key, definition.saga)
            generation = known[0].generation + 1 if known else 1
            refused = self._not_again(known)
            if refused is not None:
                return refused
        new = NewStream(definition.saga, key, generation, digest, definition.version, pinned)
        start = Start(now, pinned, key, generation, request.input, request.traceparent)
        return Turn(saga_id, (start,), new=new, looked_after=False)

    def _too_many(self, turn: Turn, room: dict[str, int]) -> StartRefused | None:
        """Whether a new saga would be one too many. `room`: how many more may be started, by saga, in this call.

        Who asks for a saga that is there already gets it. Starters at the same time do not see each other's.
        """
        most = self._bounds.open_sagas
        if most is None or turn.new is None:
            return None
        saga = turn.new.saga
        if saga not in room:
            room[saga] = most - self._store.open_sagas(saga, most)
        if room[saga] > 0:
            room[saga] -= 1
            return None
        if any(known.generation >= turn.new.generation for known in self._store.find(turn.new.key, saga)):
            return None
        what = f"{most:,} sagas named {saga} are open, and limits.open_sagas allows no more"
        return StartRefused(f"{what}; let some of them end, or look at `saga list --saga {saga} --status blocked`")

    def _not_again(self, known: Sequence[KeyRecord]) -> StartRefused | None:
        """Another generation is only for a key whose saga has left nothing standing, or was closed."""
        if not known:
            return None
        status = self._store.heads([known[0].stream_id])[known[0].stream_id].status
        if status in (Status.COMPENSATED, Status.CLOSED):
            return None
        return StartRefused(f"saga {known[0].stream_id} of this key is {status}; --again is for compensated or closed")

    def _outcome(self, turn: Turn, result: Turned) -> StartOutcome:
        assert turn.new is not None
        if result.committed:
            return Started(turn.saga_id, turn.new.key)
        if result.taken is None:
            raise SagaEngineError(f"the saga could not be started: {result.trouble}") from result.cause
        newest = self._store.find(turn.new.key, turn.new.saga)[0]
        same = newest.input_hash == turn.new.input_hash
        return (AlreadyStarted if same else KeyConflict)(newest.stream_id, turn.new.key)


def start_traced(tracing: Tracing, starter: Starter, requests: Sequence[StartRequest]) -> Sequence[StartOutcome]:
    """`Starter.start` with a span for each, on which all that the saga does hangs. Raises as that does."""
    spans = [tracing.starting(request.pinned.definition.saga, request.traceparent) for request in requests]
    try:
        traced = [replace(one, traceparent=tracing.context_of(span)) for one, span in zip(requests, spans, strict=True)]
        outcomes = starter.start(traced)
    except SagaEngineError as error:
        for span in spans:
            tracing.end(span, fault=type(error).__name__)
        raise
    for span, outcome in zip(spans, outcomes, strict=True):
        if isinstance(outcome, StartRefused):
            tracing.end(span, "refused", "refused")
        else:
            tracing.started(span, outcome.saga_id, _RESULTS[type(outcome)])
    return outcomes


def _key(request: StartRequest, saga_id: UUID) -> str | StartRefused:
    """The business key that the definition gives to this input; without one, the saga's own id."""
    written = request.pinned.definition.key
    if written is None:
        return str(saga_id)
    roots: dict[str, Json] = {"input": request.input}
    value = written.evaluate(roots)
    if isinstance(value, ExpressionFailed):
        return StartRefused(f"the key has no value: {value.message}")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return StartRefused(
            f"the business key {written.source} must be an integer or text that is not empty, not {value!r}"
        )
    return str(value)
