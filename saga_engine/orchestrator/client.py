"""What people and programs ask of the engine with store credentials: start, find, look, list.

Needs no orchestrator and knows no broker: who committed something rings the saga's partition. Blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING
from uuid import UUID

from saga_engine.codec import decode_events
from saga_engine.core.events import Event
from saga_engine.core.evolve import evolve
from saga_engine.core.outgoing import PublishEvent, outgoing
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState
from saga_engine.envelope import StreamHead
from saga_engine.errors import NotFoundError, SagaEngineError, UsageError
from saga_engine.orchestrator.defined import Defined
from saga_engine.orchestrator.loading import Unloadable, load
from saga_engine.orchestrator.plans import Plans
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import WHOLE, DefinitionRecord, EventStore, StreamFilter
from saga_engine.trace_context import valid_traceparent

if TYPE_CHECKING:
    from saga_engine.core.decider import Decision
    from saga_engine.core.inputs import Input
    from saga_engine.definition.inputs import InputRejected
    from saga_engine.definition.model import Definition, Json
    from saga_engine.identifiers import TimeOrderedIds
    from saga_engine.orchestrator.starting import DefinitionChanged, StartOutcome
    from saga_engine.orchestrator.transact import Transactor
    from saga_engine.orchestrator.turns import Turned
    from saga_engine.tracing import Tracing


@dataclass(frozen=True, slots=True)
class SagaView:
    """One saga, whole: its row, its state, its events in order (the first has version 1).

    `emitted`: the domain events that it publishes, by the version of the event that each belongs to.
    """

    head: StreamHead
    plan: Plan
    state: SagaState
    events: Sequence[Event]
    emitted: Mapping[int, PublishEvent]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """An input never came to be judged: there is no such saga, or it cannot be worked on."""

    reason: str


class Client:
    """The engine as its users see it: start sagas, look at them, act on them. Calls block; one thread at a time.

    `saga_engine.bootstrap.clients.client` makes that of a project. It needs its database, and neither an orchestrator
    nor a broker: what it commits is taken up when an orchestrator runs.
    """

    def __init__(
        self,
        store: EventStore,
        load_definitions: Callable[[], Mapping[str, Mapping[int, Definition]]],
        ids: TimeOrderedIds,
        clock: Clock,
        open_sagas: int | None = None,
        load_tracing: Callable[[], Tracing | None] = lambda: None,
        pause: Callable[[float], None] | None = None,
    ) -> None:
        """Needs what `saga_engine.bootstrap.clients.client` gives.

        `load_definitions` gives the project's, by saga name and version; it is called when a saga is started, so that
        a broken file keeps nobody from looking or acting. `open_sagas`: how many of one name may be open when one is
        started. `load_tracing` gives what makes a span of each start, if anything does; it is called then as well.
        `pause` waits for a part of so many seconds when others are quicker with a saga; left out: the thread sleeps.
        """
        self._pause = pause
        self._load_tracing = load_tracing
        self._open_sagas = open_sagas
        self._store = store
        self._defined = Defined(store, load_definitions)
        self._ids = ids
        self._clock = clock
        self._plans = Plans(store)

    def start(
        self,
        name: str,
        input: Json,
        *,
        key: str | None = None,
        version: int | None = None,
        again: bool = False,
        traceparent: str | None = None,
    ) -> StartOutcome | InputRejected | DefinitionChanged:
        """Start a saga; the same key and input again gives the saga there is.

        `traceparent`: the caller's W3C trace context, which the saga's commands, replies and events carry on; one that
        is not valid is ignored, as that standard wants it. Left out: the current span's, where starts are traced.

        Raises:
            NotFoundError: no definition of that name, or version.
            StoreUnavailableError: unknown whether it was started; asking again with the same key is safe.
        """
        return self.start_many(name, [input], keys=[key], version=version, again=again, traceparent=traceparent)[0]

    def start_many(
        self,
        name: str,
        inputs: Sequence[Json],
        *,
        keys: Sequence[str | None] | None = None,
        version: int | None = None,
        again: bool = False,
        traceparent: str | None = None,
        traceparents: Sequence[str | None] | None = None,
    ) -> Sequence[StartOutcome | InputRejected | DefinitionChanged]:
        """Start a saga for each input, in one commit; an outcome for each.

        `keys`: a business key for each; None among them, or left out: as the definition makes it from the input. Of two
        with the same key one is started. `traceparent` as in `start`, for all; `traceparents`: one for each. A commit
        is quickest with some hundred. Raises as `start`.
        """
        from saga_engine.definition.inputs import InputRejected
        from saga_engine.orchestrator.starting import Bounds, DefinitionChanged, Starter, StartRequest, start_traced

        ready = self._defined.ready(self._defined.find(name, version))
        if isinstance(ready, DefinitionChanged):
            return [ready for _ in inputs]
        given = [None] * len(inputs) if keys is None else keys
        contexts = [traceparent] * len(inputs) if traceparents is None else traceparents
        checked = [(ready.check(one), key) for one, key in zip(inputs, given, strict=True)]
        requests = [
            StartRequest(ready.pinned, one, key, again, valid_traceparent(context))
            for (one, key), context in zip(checked, contexts, strict=True)
            if not isinstance(one, InputRejected)
        ]
        starter = Starter(self._store, self._transactor, self._ids, self._clock, Bounds(self._open_sagas))
        started = starter.start if self._tracing is None else partial(start_traced, self._tracing, starter)
        outcomes = iter(started(requests))
        return [one if isinstance(one, InputRejected) else next(outcomes) for one, _ in checked]

    def act(self, saga_id: UUID, input: Callable[[int], Input]) -> Decision:
        """Give a saga an input, made for the time it is taken at: a signal, or an operator's verb.

        Raises:
            NotFoundError: there is no such saga.
            StoreUnavailableError: unknown whether it was taken; signals and verbs may be repeated safely.
        """
        turned = self._act([saga_id], input)[0]
        if turned.missing:
            raise NotFoundError(f"no saga with id {saga_id}")
        if turned.trouble:
            raise SagaEngineError(f"saga {saga_id} cannot be worked on: {turned.trouble}") from turned.cause
        return turned.answers[0]

    def act_on_many(self, saga_ids: Sequence[UUID], input: Callable[[int], Input]) -> Sequence[Decision | NotTaken]:
        """Give each of these sagas an input, in one commit; a verdict for each in order.

        Raises:
            StoreUnavailableError: unknown which took it; repeating the call is safe.
        """
        return [
            NotTaken(turned.trouble or f"no saga with id {turned.saga_id}")
            if turned.missing or turned.trouble
            else turned.answers[0]
            for turned in self._act(saga_ids, input)
        ]

    def _act(self, saga_ids: Sequence[UUID], input: Callable[[int], Input]) -> Sequence[Turned]:
        from saga_engine.core.inputs import Signal
        from saga_engine.definition.values import payload_problem
        from saga_engine.orchestrator.insisting import insist
        from saga_engine.orchestrator.turns import Turn
        from saga_engine.sql.pacing import ThreadPacing

        def turns() -> Sequence[Turn]:
            given = input(self._clock.now())
            if isinstance(given, Signal) and (problem := payload_problem(given.data)) is not None:
                raise UsageError(f"the data of signal {given.name} is no payload: {problem}")
            return [Turn(saga_id, (given,), looked_after=False) for saga_id in saga_ids]

        return insist(self._transactor, turns, self._pause or ThreadPacing().pause)

    @property
    def now(self) -> int:
        """The store's time, in microseconds since 1970."""
        return self._clock.now()

    @cached_property
    def _transactor(self) -> Transactor:
        # Imported late, as all that only a start or a verb needs: a client that looks is quick to set up.
        from saga_engine.orchestrator.cache import StateCache
        from saga_engine.orchestrator.transact import Transactor

        return Transactor(self._store, self._plans, StateCache(0), self._clock.now)

    @cached_property
    def _tracing(self) -> Tracing | None:
        return self._load_tracing()

    def definition(self, name: str, version: int | None = None) -> Definition:
        """The definition of that name: of that version, or the highest.

        Raises:
            NotFoundError: there is none.
        """
        return self._defined.find(name, version)

    def find(self, id_or_key: str, saga: str | None = None) -> UUID:
        """The saga of that id, or the newest generation of that business key.

        Raises:
            NotFoundError: there is none.
            UsageError: the key belongs to sagas of several names.
        """
        records = self._store.find(id_or_key, saga)
        names = sorted({record.saga for record in records})
        if len(names) > 1:
            raise UsageError(f"key {id_or_key!r} belongs to several sagas: say which, with --saga {' or '.join(names)}")
        if records:
            return records[0].stream_id
        with suppress(ValueError):
            saga_id = UUID(id_or_key)
            if saga_id in self._store.versions([saga_id]):
                return saga_id
        raise NotFoundError(f"no saga with id or key {id_or_key!r}{f' named {saga}' if saga else ''}")

    def view(self, saga_id: UUID) -> SagaView:
        """A saga with its whole history.

        Raises:
            NotFoundError: there is none of that id.
            UnknownEventError: a newer release wrote to it, or its rows are damaged.
        """
        loaded = self._store.load({saga_id: WHOLE}).get(saga_id)
        if loaded is None:
            raise NotFoundError(f"no saga with id {saga_id}")
        events = decode_events(saga_id, loaded.events)
        plan = self._plans.get(loaded.head.definition_hash)
        state = SagaState(saga_id)
        emitted: dict[int, PublishEvent] = {}
        for event in events:
            state = evolve(state, event)
            sent = outgoing(plan, state, event)
            if isinstance(sent, PublishEvent):
                emitted[state.version] = sent
        return SagaView(loaded.head, plan, state, events, emitted)

    def states(self, saga_ids: Sequence[UUID]) -> Mapping[UUID, SagaState]:
        """The states of many sagas, without their histories. Unknown ids are absent.

        Raises:
            SagaEngineError: one of them cannot be read, as when a newer release wrote to it.
        """
        loaded = load(self._store, self._plans, saga_ids)
        states: dict[UUID, SagaState] = {}
        for saga_id, one in loaded.items():
            if isinstance(one, Unloadable):
                raise SagaEngineError(f"saga {saga_id} cannot be read: {one.reason}") from one.cause
            states[saga_id] = one.state
        return states

    def plan(self, definition_hash: str) -> Plan:
        """The plan of a stored definition, as `StreamHead.definition_hash` names it.

        Raises:
            DefinitionMissingError: no such definition is stored.
        """
        return self._plans.get(definition_hash)

    def registered(self, saga: str | None = None) -> Sequence[DefinitionRecord]:
        """The definitions that the store knows, by saga and version ascending."""
        return self._store.definitions(saga)

    def status(self, saga_id: UUID) -> StreamHead:
        """The row of a saga, cheap to ask for again and again.

        Raises:
            NotFoundError: there is none of that id.
        """
        head = self._store.heads([saga_id]).get(saga_id)
        if head is None:
            raise NotFoundError(f"no saga with id {saga_id}")
        return head

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        """One page of sagas, newest first."""
        return self._store.list(wanted)

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many sagas there are, by (saga name, status)."""
        return self._store.counts()

    def close(self) -> None:
        """Give back the store's connections."""
        self._store.close()
