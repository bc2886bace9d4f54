"""The process manager: events of others start sagas and end waits, once each, are put back, or buried."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TypeVar
from uuid import UUID

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.dead_letters import MemoryDeadLetters
from saga_engine.adapters.memory.store import MemoryEventStore
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.bootstrap.listeners import expanded
from saga_engine.core.events import SignalReceived
from saga_engine.core.inputs import Cancel
from saga_engine.definition.model import Definition, Json
from saga_engine.envelope import Message, partition_of
from saga_engine.errors import StoreUnavailableError, TransportUnavailableError
from saga_engine.identifiers import TimeOrderedIds
from saga_engine.immutable import replace
from saga_engine.orchestrator.cache import StateCache
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.dead_letters import EventTaken, NotSent, Sending, send_letters
from saga_engine.orchestrator.event_letters import event_letter
from saga_engine.orchestrator.listener import PATIENCE_US, Listener
from saga_engine.orchestrator.occasions import Occasion, occasions
from saga_engine.orchestrator.plans import Plans
from saga_engine.orchestrator.signalling import Signaller
from saga_engine.orchestrator.taking import Taker
from saga_engine.orchestrator.transact import Transactor
from saga_engine.orchestrator.verdicts import Done, Hopeless, Later, Verdict
from saga_engine.ports.dead_letters import DeadLetters
from saga_engine.ports.events import HeardEvent, Listening
from saga_engine.ports.store import Append, AppendOutcome, KeyRecord, StreamFilter
from saga_engine.ports.transport import Delivery, Transport
from saga_engine.wire.headers import ORIGINAL_SUBJECT, REASON
from tests.unit.orchestrator.support import BEGIN, SECOND, ManualClock, loaded

T = TypeVar("T")
DEADLINE = 90.0

CHARGE = """
saga: charge
key: ${{ input.order_id }}
on:
  subject: ORDERS.created
  key: ${{ event.data.order_id }}
  input: {order_id: "${{ event.data.order_id }}", amount: "${{ event.data.amount }}"}
input:
  type: object
  properties: {order_id: {type: string}, amount: {type: integer, minimum: 1}}
steps:
  - step: paid
    wait: {event: Paid, on: {subject: PAYMENTS.made, key: "${{ event.data.reference }}"}}
  - {step: rest, sleep: 1d}
"""


class Down(MemoryEventStore):
    """A store that is away when something is written or looked for."""

    def append(self, appends: Sequence[Append]) -> Sequence[AppendOutcome]:
        raise StoreUnavailableError("away")

    def find(self, key: str, saga: str | None = None) -> Sequence[KeyRecord]:
        raise StoreUnavailableError("away")


@dataclass
class Desk:
    """A taker over a memory store, with the occasions of some definitions."""

    text: Sequence[str] = (CHARGE,)
    store: MemoryEventStore = field(default_factory=MemoryEventStore)
    clock: ManualClock = field(default_factory=ManualClock)
    ids: TimeOrderedIds = field(default_factory=lambda: TimeOrderedIds(random.Random(7).randbytes))

    def __post_init__(self) -> None:
        definitions = [loaded(text) for text in self.text]
        project: dict[str, dict[int, Definition]] = {}
        for one in definitions:
            project.setdefault(one.saga, {})[one.version] = one
        self.client = Client(self.store, lambda: project, self.ids, self.clock)
        self.occasions: Mapping[str, Sequence[Occasion]] = occasions(project, definitions, lambda one: one)
        self.taker = self.taking()

    def taking(self) -> Taker:
        transactor = Transactor(self.store, Plans(self.store), StateCache(0), self.clock.now)
        return Taker(self.client, Signaller(self.client, self.store, transactor), self.occasions)

    def name(self, subject: str) -> str:
        return next(name for name, meant in self.occasions.items() if meant[0].on.subject == subject)

    def heard(self, subject: str, data: Json, at: int = BEGIN, **headers: str) -> HeardEvent:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        message = Message(subject, named, b"" if data is None else json.dumps(data).encode(), None)
        return HeardEvent(self.name(subject), at, Delivery(message, 1, next(_TOKENS)))

    def take(self, *heard: HeardEvent) -> Sequence[Verdict]:
        return self.taker.take(heard)

    def created(self, number: int, **more: Json) -> HeardEvent:
        return self.heard("ORDERS.created", {"order_id": f"o-{number}", "amount": 5, **more})

    def sagas(self) -> Sequence[UUID]:
        return [head.stream_id for head in self.store.list(StreamFilter(limit=1_000))]

    def signals(self, saga_id: UUID) -> list[Json]:
        return [event.data for event in self.client.view(saga_id).events if isinstance(event, SignalReceived)]


_TOKENS = count()


def test_a_hundred_events_each_sent_three_times_start_one_saga_per_key() -> None:
    desk = Desk()
    events = [desk.created(number) for number in range(100)]
    verdicts = [*desk.take(*events, *events[:50]), *desk.take(*events[50:]), *desk.take(*events)]
    assert all(isinstance(one, Done) for one in verdicts)
    assert sum(isinstance(one, Done) and one.saga_id is not None for one in verdicts) == 100
    assert len(desk.sagas()) == 100
    assert {record.key for number in range(100) for record in desk.store.find(f"o-{number}")} == {
        f"o-{number}" for number in range(100)
    }


def test_the_input_is_what_the_definition_makes_of_the_event() -> None:
    desk = Desk()
    desk.take(desk.created(1, colour="red"))
    assert desk.client.view(desk.sagas()[0]).state.input == {"order_id": "o-1", "amount": 5}


def test_without_a_mapping_the_data_is_the_input_and_the_definition_makes_the_key() -> None:
    desk = Desk(["{saga: s, key: '${{ input.id }}', on: {subject: A.b}, steps: [{step: one, sleep: 1s}]}"])
    desk.take(desk.heard("A.b", {"id": 7}))
    view = desk.client.view(desk.sagas()[0])
    assert (view.head.key, view.state.input) == ("7", {"id": 7})


def test_the_saga_goes_on_in_the_trace_of_the_event() -> None:
    desk = Desk()
    traces = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    events = [desk.heard("ORDERS.created", {"order_id": trace, "amount": 1}, traceparent=trace) for trace in traces]
    desk.take(*events)
    for trace in traces:
        assert desk.client.view(desk.client.find(trace)).state.traceparent == trace


def test_events_that_a_saga_of_the_same_name_emitted_are_ignored() -> None:
    desk = Desk()
    own = desk.heard("ORDERS.created", {"order_id": "o-1", "amount": 5}, ce_source="saga/charge", ce_id="x/1")
    other = desk.heard("ORDERS.created", {"order_id": "o-2", "amount": 5}, ce_source="saga/other", ce_id="x/1")
    assert desk.take(own, other)[0] == Done(why="the saga's own event")
    assert [desk.store.heads([one])[one].key for one in desk.sagas()] == ["o-2"]


def test_an_event_that_can_never_start_a_saga_is_hopeless_and_says_why() -> None:
    desk = Desk()
    desk.take(desk.created(1))
    events = [
        desk.created(1, amount=6),
        desk.created(2, amount=0),
        desk.heard("ORDERS.created", {"amount": 5}),
        desk.heard("ORDERS.created", {"order_id": "", "amount": 5}),
        desk.heard("ORDERS.created", {"order_id": "k" * 513, "amount": 5}),
        desk.heard("ORDERS.created", None),
    ]
    broken = HeardEvent(desk.name("ORDERS.created"), BEGIN, Delivery(Message("ORDERS.created", {}, b"{", None), 1, 0))
    reasons = [one.reason for one in desk.take(*events, broken) if isinstance(one, Hopeless)]
    assert len(reasons) == 7
    for reason, expected in zip(
        reasons,
        ("another input", "expected at least 1", "no value", "not empty", "at most 512", "no value", "not JSON"),
        strict=True,
    ):
        assert expected in reason
    assert len(desk.sagas()) == 1


def test_a_key_that_no_database_keeps_is_hopeless() -> None:
    desk = Desk(["{saga: s, on: {subject: A.b, key: '${{ event.id }}'}, steps: [{step: one, sleep: 1s}]}"])
    told = [desk.heard("A.b", {}, ce_id=one) for one in ("a\x00b", "\x00")]
    assert [isinstance(one, Hopeless) for one in desk.take(*told)] == [True, True]
    assert desk.sagas() == []


def test_a_wait_takes_a_domain_event_once_however_often_it_comes() -> None:
    desk = Desk()
    desk.take(desk.created(1))
    paid = desk.heard("PAYMENTS.made", {"reference": "o-1", "n": 1}, ce_id="p-1", ce_source="bank")
    unnamed = desk.heard("PAYMENTS.made", {"reference": "o-1", "n": 2})
    saga_id = desk.sagas()[0]
    assert desk.take(paid, unnamed) == [Done(saga_id), Done(saga_id)]
    assert desk.take(paid, unnamed) == [Done(why="a repetition")] * 2
    assert desk.signals(saga_id) == [{"reference": "o-1", "n": 1}, {"reference": "o-1", "n": 2}]


def test_the_signals_of_a_batch_are_committed_at_once_and_each_saga_gets_its_own_in_order() -> None:
    desk = Desk()
    desk.take(*(desk.created(number) for number in range(20)))
    commits: list[int] = []
    append = desk.store.append
    desk.store.append = lambda appends: commits.append(len(appends)) or append(appends)  # type: ignore[func-returns-value,method-assign]  # counted on its way
    told = [desk.heard("PAYMENTS.made", {"reference": f"o-{n}", "n": i}) for i in range(3) for n in range(20)]
    assert all(isinstance(one, Done) and one.saga_id is not None for one in desk.take(*told))
    assert commits == [20]
    for saga_id in desk.sagas():
        key = desk.store.heads([saga_id])[saga_id].key
        assert desk.signals(saga_id) == [{"reference": key, "n": i} for i in range(3)]


def test_a_wait_is_ended_by_what_came_together_with_the_start() -> None:
    desk = Desk()
    verdicts = desk.take(desk.heard("PAYMENTS.made", {"reference": "o-1"}), desk.created(1))
    assert verdicts == [Done(desk.sagas()[0])] * 2


def test_a_saga_that_has_ended_needs_no_event_any_more() -> None:
    desk = Desk()
    desk.take(desk.created(1))
    saga_id = desk.sagas()[0]
    desk.client.act(saga_id, lambda at: Cancel(at, "me", "why"))
    verdict = desk.take(desk.heard("PAYMENTS.made", {"reference": "o-1"}))[0]
    assert isinstance(verdict, Done)
    assert verdict.saga_id is None
    assert "compensated" in verdict.why


def test_a_wait_in_a_child_saga_is_one_of_the_saga_that_holds_it() -> None:
    child = "{saga: inner, steps: [{step: w, wait: {event: Done, on: {subject: A.b, key: '${{ event.data.k }}'}}}]}"
    parent = "{saga: outer, key: '${{ input.k }}', steps: [{step: c, saga: inner}]}"
    definitions = [loaded(child), loaded(parent)]
    project = {one.saga: {1: one} for one in definitions}
    found = occasions(project, definitions, partial(expanded, project))
    assert sorted((one[0].saga, one[0].event) for one in found.values()) == [("inner", "Done"), ("outer", "Done")]


def test_the_key_of_every_version_that_may_still_run_is_tried() -> None:
    text = "{saga: s, version: %d, key: '${{ input.k }}', steps: [{step: w, wait: {event: E, on: %s}}]}"
    old = loaded(text % (1, "{subject: A.b, key: '${{ event.data.old }}'}"))
    new = loaded(text % (2, "{subject: A.b, key: '${{ event.data.new }}'}"))
    desk = Desk([])
    desk.client = Client(desk.store, lambda: {"s": {1: old, 2: new}}, desk.ids, desk.clock)
    desk.occasions = occasions({"s": {2: new}}, [old, new], lambda one: one)
    assert len(desk.occasions) == 1
    desk.taker = desk.taking()
    desk.client.start("s", {"k": "a"}, version=1)
    assert desk.take(desk.heard("A.b", {"old": "a"})) == [Done(desk.sagas()[0])]


def test_one_that_waits_for_nothing_of_the_kind_is_not_told() -> None:
    text = "{saga: s, version: 1, key: '${{ input.k }}', steps: [{step: z, sleep: 1d}]}"
    step = "{step: w, wait: {event: E, on: {subject: A.b, key: '${{ event.data }}'}}}"
    waits = "{saga: s, version: 2, key: '${{ input.k }}', steps: [" + step + "]}"
    desk = Desk([text, waits])
    desk.client.start("s", {"k": "a"}, version=1)
    verdict = desk.take(desk.heard("A.b", "a"))[0]
    assert isinstance(verdict, Done)
    assert "does not wait for E" in verdict.why


def test_an_outage_of_the_store_is_no_fault_of_the_event() -> None:
    desk = Desk(store=Down())
    verdicts = desk.take(desk.created(1), desk.heard("PAYMENTS.made", {"reference": "o-1"}))
    assert [isinstance(one, Later) and one.outage for one in verdicts] == [True, True]


def test_an_event_for_a_saga_that_is_not_there_yet_waits_for_it() -> None:
    desk = Desk()
    paid = desk.heard("PAYMENTS.made", {"reference": "o-1"}, ce_id="p-1")
    assert desk.take(paid) == [Later("there is no saga charge of the business key that it names")]
    desk.take(desk.created(1))
    assert desk.take(paid) == [Done(desk.sagas()[0])]


@dataclass
class Feed:
    """A feed that a test fills; it notes how each event was settled."""

    events: list[HeardEvent]
    acked: list[HeardEvent] = field(default_factory=list)
    again: list[tuple[HeardEvent, float]] = field(default_factory=list)
    failures: int = 0
    listened: Sequence[Listening] = ()
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, *events: HeardEvent) -> None:
        """Let a listener take these, and wait until it has."""
        self.events += events
        self.settled.clear()
        self.more.set()
        async with asyncio.timeout(DEADLINE):
            await self.settled.wait()

    async def listen(self, wanted: Sequence[Listening]) -> Feed:
        self.listened = wanted
        if self.failures:
            self.failures -= 1
            raise TransportUnavailableError("away")
        return self

    async def receive(self, limit: int) -> Sequence[HeardEvent]:
        while not self.events:
            self.settled.set()
            self.more.clear()
            await self.more.wait()
        taken, self.events = self.events[:limit], self.events[limit:]
        return taken

    async def ack(self, events: Sequence[HeardEvent]) -> None:
        self.acked += events

    async def retry_later(self, events: Sequence[HeardEvent], delay: float) -> None:
        self.again += [(event, delay) for event in events]

    async def close(self) -> None:
        self.listened = ()


async def inline(call: Callable[[], T]) -> T:
    return call()


@asynccontextmanager
async def listening(desk: Desk, feed: Feed, broker: MemoryBroker) -> AsyncIterator[Listener]:
    listener = Listener(
        feed,
        MemoryTransport(broker, publish_timeout=0.01),
        [Listening(name, meant[0].on.subject) for name, meant in desk.occasions.items()],
        desk.taker.take,
        desk.clock,
        inline,
    )
    running = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        await listener.stop()
        await asyncio.wait_for(running, DEADLINE)


async def listened(desk: Desk, feed: Feed, broker: MemoryBroker | None = None) -> Listener:
    """Let a listener take everything in the feed, and stop."""
    async with listening(desk, feed, broker or MemoryBroker()) as listener:
        await feed.deliver()
    return listener


async def test_what_was_taken_is_acknowledged_after_the_commit_and_the_owner_is_rung() -> None:
    desk, broker = Desk(), MemoryBroker()
    rung: list[int] = []
    broker.on_ring(rung.append)
    feed = Feed([desk.created(number) for number in range(450)])
    listener = await listened(desk, feed, broker)
    assert len(feed.acked) == len(desk.sagas()) == listener.counts["taken"] == 450
    assert set(rung) == {partition_of(saga_id) for saga_id in desk.sagas()}


async def test_what_comes_too_early_is_put_back_ever_longer_and_buried_after_an_hour() -> None:
    desk, broker, feed = Desk(), MemoryBroker(), Feed([])
    early = desk.heard("PAYMENTS.made", {"reference": "o-9"}, ce_id="p-1", Nats_Msg_Id="m-1")
    often = replace(early, delivery=replace(early.delivery, deliveries=4))
    async with listening(desk, feed, broker) as listener:
        await feed.deliver(early)
        desk.clock.time += PATIENCE_US - SECOND
        await feed.deliver(often)
        assert (feed.again, feed.acked, broker.dead) == ([(early, 0.5), (often, 4.0)], [], [])
        desk.clock.time += SECOND
        await feed.deliver(often)
    assert feed.acked == [often]
    [letter] = broker.dead
    assert letter.subject == "saga.dead.orchestrator"
    assert "put back for an hour" in letter.headers[REASON]
    assert letter.headers[ORIGINAL_SUBJECT] == "PAYMENTS.made"
    assert dict(listener.counts) == {"taken": 0, "ignored": 0, "put_back": 2, "dead": 1}


async def test_an_event_that_lay_at_the_broker_for_hours_is_still_waited_for() -> None:
    desk, broker = Desk(), MemoryBroker()
    old = desk.heard("PAYMENTS.made", {"reference": "o-9"}, at=desk.clock.now() - 9 * PATIENCE_US)
    feed = Feed([old])
    await listened(desk, feed, broker)
    assert (feed.again, broker.dead) == ([(old, 0.5)], [])


async def test_the_hour_of_an_event_is_not_used_up_by_an_outage() -> None:
    desk, broker, feed = Desk(), MemoryBroker(), Feed([])
    taken, down = desk.taker.take, True
    paid = desk.heard("PAYMENTS.made", {"reference": "o-9"})

    def take(heard: Sequence[HeardEvent]) -> Sequence[Verdict]:
        return [Later("away", outage=True)] * len(heard) if down else taken(heard)

    desk.taker.take = take  # type: ignore[method-assign]  # the store's outage, without a store
    async with listening(desk, feed, broker):
        await feed.deliver(paid)
        desk.clock.time += 2 * PATIENCE_US
        down = False
        await feed.deliver(paid)
    assert broker.dead == []


async def test_events_beyond_the_open_sagas_that_are_allowed_wait_however_long_it_takes() -> None:
    desk, broker, feed = Desk(), MemoryBroker(), Feed([])
    desk.client = Client(desk.store, lambda: {"charge": {1: loaded(CHARGE)}}, desk.ids, desk.clock, 1)
    desk.taker = desk.taking()
    first, second = desk.created(1), desk.created(2)
    async with listening(desk, feed, broker):
        await feed.deliver(first, second)
        desk.clock.time += 2 * PATIENCE_US
        await feed.deliver(second)
        assert (feed.acked, broker.dead) == ([first], [])
        desk.client.act(desk.sagas()[0], lambda at: Cancel(at, "me", "why"))
        await feed.deliver(second)
    assert feed.acked == [first, second]


async def test_an_event_that_uncovers_a_defect_stops_no_other() -> None:
    desk, broker = Desk(), MemoryBroker()
    taken, poison = desk.taker.take, desk.created(2)

    def take(heard: Sequence[HeardEvent]) -> Sequence[Verdict]:
        if poison in heard:
            raise ZeroDivisionError("a defect")
        return taken(heard)

    desk.taker.take = take  # type: ignore[method-assign]  # a defect, which there is none of to test with
    feed = Feed([desk.created(1), poison, desk.created(3)])
    await listened(desk, feed, broker)
    assert feed.again == [(poison, 0.5)]
    assert (len(feed.acked), len(desk.sagas()), broker.dead) == (2, 2, [])


async def test_an_outage_buries_nothing_however_long_it_lasts() -> None:
    desk, broker = Desk(store=Down()), MemoryBroker()
    event = desk.heard("ORDERS.created", {"order_id": "o-1", "amount": 5}, at=0)
    feed = Feed([event])
    await listened(desk, feed, broker)
    assert feed.again == [(event, 0.5)]
    assert broker.dead == []


async def test_a_letter_is_taken_as_the_event_was_when_what_was_wrong_is_put_right() -> None:
    desk, broker = Desk(), MemoryBroker()
    early = desk.heard("PAYMENTS.made", {"reference": "o-1"}, Nats_Msg_Id="m-1")
    alien = desk.created(2, amount=0)
    transport, letters = MemoryTransport(broker), MemoryDeadLetters(broker)
    assert all(await transport.publish([event_letter(early, "too early"), event_letter(alien, "no amount")]))
    assert await send(desk, transport, letters, 1) == [
        NotSent(1, "there is no saga charge of the business key that it names")
    ]
    desk.take(desk.created(1))
    [saga_id] = desk.sagas()
    rung: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    broker.on_ring(rung.set_result)
    taken, hopeless, gone = await send(desk, transport, letters, 1, 2, 9)
    assert taken == EventTaken(1, "PAYMENTS.made", saga_id, "")
    assert isinstance(hopeless, NotSent)
    assert "at least" in hopeless.reason
    assert gone == NotSent(9, "there is no such letter (any more)")
    assert await asyncio.wait_for(rung, DEADLINE) == partition_of(saga_id)
    assert (await letters.get(1), len(broker.events), len(desk.sagas())) == (None, 0, 1)
    # It is known again by the id that it had.
    assert desk.take(early) == [Done(why="a repetition")]


async def test_a_letter_of_a_worker_is_never_taken_for_an_event() -> None:
    desk, broker = Desk(), MemoryBroker()
    forged = event_letter(desk.created(1), "why")
    transport, letters = MemoryTransport(broker), MemoryDeadLetters(broker)
    other = Message("saga.dead.orchestrator", {**forged.headers, ORIGINAL_SUBJECT: "ORDERS.forged"}, forged.body, None)
    assert all(await transport.publish([Message("saga.dead.payment", forged.headers, forged.body, None), other]))
    refused = await send(desk, transport, letters, 1, 2)
    assert [isinstance(one, NotSent) for one in refused] == [True, True]
    assert desk.sagas() == []


async def send(desk: Desk, transport: Transport, letters: DeadLetters, *sequences: int) -> list[Sending]:
    return [one async for one in send_letters(transport, letters, sequences, lambda event: desk.take(event)[0])]


async def test_a_letter_that_the_broker_does_not_confirm_leaves_the_event_where_it_is() -> None:
    desk, broker = Desk(), MemoryBroker()
    broker.stop()
    event = desk.created(1, amount=0)
    feed = Feed([event])
    await listened(desk, feed, broker)
    assert (feed.acked, feed.again) == ([], [(event, 0.5)])
