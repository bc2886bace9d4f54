"""An orchestrator's parts over a memory store, with a clock that only tests move."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.core.events import Direction
from saga_engine.core.inputs import Due, Input, Outcome, ReplyReceived
from saga_engine.core.outgoing import PublishEvent, SendCommand
from saga_engine.core.state import SagaState
from saga_engine.core.timing import OpenCommand
from saga_engine.definition.canonical import definition_hash
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Definition, Json
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.inline import finish
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.starting import Pinned, Started, Starter, StartOutcome, StartRequest, register
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.turns import Turn, Turned
from saga_engine.ports.store import EventStore, StreamFilter
from tests.unit.core.sagas import saga

SECOND: Final = 1_000_000
BEGIN: Final = 1_700_000_000 * SECOND
PLACE: Final = saga(
    """
    step: one, call: p.one, with: {n: 1}, emit: OneDone, compensate: {call: p.undo_one}
    step: two, call: q.two, compensate: none
    """,
    "emit: {completed: AllDone}",
)
LOOP: Final = """
saga: loop
version: 1
steps:
  - step: each
    call: p.do
    for_each: {in: "${{ input.items }}", max_parallel: 1000}
    with: {n: "${{ item }}"}
    compensate: none
"""


@dataclass
class ManualClock:
    """Stands still until a test moves it."""

    time: int = BEGIN
    slept: list[float] = field(default_factory=list)

    def now(self) -> int:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def loaded(text: str) -> Definition:
    found = load_text(text.encode(), "test.yaml")
    assert isinstance(found, Loaded), str(found)
    return found.definition


class Office:
    """A store with definitions, someone who starts sagas, and any number of orchestrators' transactors."""

    def __init__(self, *texts: str, store: EventStore | None = None) -> None:
        self.clock = ManualClock()
        self.store = store if store is not None else MemoryEventStore(self.clock.now)
        self.definitions = [loaded(text) for text in texts or (PLACE,)]
        assert register(self.store, self.definitions) == []
        self.ids = TimeOrderedIds(random.Random(7).randbytes)

    def transactor(self, *, capacity: int = 100, store: EventStore | None = None) -> Transactor:
        over = store if store is not None else self.store
        return Transactor(over, Plans(over), StateCache(capacity), self.clock.now)

    def request(self, input: Json = None, **more: str | bool | None) -> StartRequest:
        key, again = more.get("key"), more.get("again", False)
        assert key is None or isinstance(key, str)
        pinned = Pinned(self.definitions[0], definition_hash(self.definitions[0]))
        return StartRequest(pinned, {} if input is None else input, key, bool(again))

    def start_all(self, requests: Sequence[StartRequest]) -> Sequence[StartOutcome]:
        return Starter(self.store, self.transactor(), self.ids, self.clock).start(requests)

    def start(self, input: Json = None, **more: str | bool | None) -> UUID:
        outcome = self.start_all([self.request(input, **more)])[0]
        assert isinstance(outcome, Started), outcome
        return outcome.saga_id

    def reply(
        self, step: str = "one", outcome: Outcome = Outcome.SUCCEEDED, *, item: int | None = None
    ) -> ReplyReceived:
        return ReplyReceived(
            self.clock.now(), step, item, Direction.FORWARD, 1, 1, outcome, {"of": step}, "code", "why"
        )

    def due(self) -> Due:
        return Due(self.clock.now())

    def events(self, saga_id: UUID) -> list[str]:
        return [record.type for record in self.store.load({saga_id: -1})[saga_id].events]


def turn(transactor: Transactor, saga_id: UUID, *inputs: Input, **more: int) -> Turned:
    """One turn of one saga."""
    return turns(transactor, Turn(saga_id, inputs, seen=more.get("seen", 0)))[0]


def turns(transactor: Transactor, *wanted: Turn) -> Sequence[Turned]:
    """One batch."""
    return finish(transactor.transact(wanted))


def settle(transactor: Transactor) -> None:
    """Tell the store what it does not know yet."""
    finish(transactor.upkeep.settle())


def sent(turned: Turned) -> list[str]:
    """What a turn has left to send, in short."""
    return [
        f"{each.version} {each.step} {each.direction} {each.attempt}"
        if isinstance(each, SendCommand)
        else f"{each.version} {each.name if isinstance(each, PublishEvent) else type(each).__name__}"
        for each in turned.unsent
    ]


def again(turned: Turned) -> list[str]:
    """What a turn asks again."""
    return [_asked(command) for command in turned.again]


def _asked(command: OpenCommand) -> str:
    return f"{command.place} {command.direction} {command.progress.attempt}"


def state_of(turned: Turned) -> SagaState:
    assert turned.state is not None
    return turned.state


def events_of(turned: Turned) -> list[PublishEvent]:
    return [each for each in turned.unsent if isinstance(each, PublishEvent)]


def listed(store: EventStore) -> list[UUID]:
    return [head.stream_id for head in store.list(StreamFilter(limit=1_000))]
