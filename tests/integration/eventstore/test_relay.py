"""Stored events are published in order, until the broker has acknowledged each, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import pytest

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.envelope import Message
from saga_engine.eventstore.event import Aggregate
from saga_engine.eventstore.relay import Relay
from saga_engine.eventstore.store import SqlDomainEvents
from saga_engine.orchestrator.inline import inline
from saga_engine.tasks import end_tasks
from tests.databases import Database
from tests.integration.eventstore.samples import entry
from tests.integration.eventstore.serving import until

NOW = 1_795_437_762_402_546


@pytest.fixture
def store(events_database: Database) -> Iterator[SqlDomainEvents]:
    with events_database.engine() as engine:
        yield SqlDomainEvents(engine, lambda: NOW)


class Choosy(MemoryTransport):
    """Does not acknowledge what it is told to refuse."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker, publish_timeout=0.05)
        self.refuses: Callable[[Message], bool] = lambda _message: False

    async def publish(self, messages: Sequence[Message]) -> Sequence[bool]:
        taken = iter(await super().publish([one for one in messages if not self.refuses(one)]))
        return [not self.refuses(one) and next(taken) for one in messages]


async def test_an_event_is_published_on_its_type_with_its_data_as_the_body(store: SqlDomainEvents) -> None:
    broker = MemoryBroker()
    store.append([entry("e-1", Aggregate("o 1ü", "order")), entry("e-2", Aggregate("o 1ü", "order"), data="")])
    assert await Relay(store, MemoryTransport(broker), inline).publish() == 0
    full, empty = broker.events
    assert (full.subject, full.body, full.message_id) == ("ORDERS.created", b'{"amount": 4200}', "e-1")
    assert full.headers == {
        "Nats-Msg-Id": "e-1",
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-source": "eventstore/order",
        "ce-type": "ORDERS.created",
        "ce-subject": "o 1%C3%BC",
        "ce-time": "2026-11-23T12:42:42.402546Z",
        "ce-sequence": "1",
        "ce-datacontenttype": "application/json",
    }
    assert empty.body == b""
    assert "ce-datacontenttype" not in empty.headers


async def test_every_aggregate_is_published_in_order_over_many_pages(store: SqlDomainEvents) -> None:
    aggregates = [Aggregate(f"o-{i}", "order") for i in range(7)]
    sizes = [1, 250, 3, 120, 99, 100, 1]
    store.append(
        [
            entry(f"{one.id}/{n}".replace("/", ":"), one)
            for one, size in zip(aggregates, sizes, strict=True)
            for n in range(size)
        ]
    )
    broker = MemoryBroker()
    assert await Relay(store, MemoryTransport(broker), inline).publish() == 0
    seen = defaultdict(list)
    for message in broker.events:
        seen[message.headers["ce-subject"]].append(int(message.headers["ce-sequence"]))
    assert seen == {one.id: list(range(1, size + 1)) for one, size in zip(aggregates, sizes, strict=True)}
    assert store.unpublished(None, 1) == []


async def test_an_event_that_is_refused_holds_back_its_aggregate_alone(store: SqlDomainEvents) -> None:
    held, free = Aggregate("held", "order"), Aggregate("free", "order")
    store.append([entry(f"h-{i}", held) for i in range(3)] + [entry(f"f-{i}", free) for i in range(150)])
    broker = MemoryBroker()
    transport = Choosy(broker)
    transport.refuses = lambda message: message.message_id == "h-1"
    relay = Relay(store, transport, inline)
    assert await relay.publish() == 1
    assert [one.event.event_id for one in store.unpublished(None, 10)] == ["h-1", "h-2"]
    transport.refuses = lambda _message: False
    assert await relay.publish() == 0
    assert [message.message_id for message in broker.events if message.headers["ce-subject"] == "held"] == [
        "h-0",
        "h-1",
        "h-2",
    ]


async def test_what_an_outage_held_up_is_published_when_the_broker_is_back(store: SqlDomainEvents) -> None:
    broker = MemoryBroker()
    relay = Relay(store, MemoryTransport(broker, publish_timeout=0.05), inline, interval=0.02)
    broker.stop()
    running = asyncio.create_task(relay.run())
    store.append([entry(f"e-{i}") for i in range(5)])
    relay.ring()
    broker.start()
    await until(lambda: len(broker.events) == 5)
    await end_tasks([running])
    assert [message.message_id for message in broker.events] == [f"e-{i}" for i in range(5)]


async def test_what_another_process_stored_is_found_without_a_bell(store: SqlDomainEvents) -> None:
    broker = MemoryBroker()
    running = asyncio.create_task(Relay(store, MemoryTransport(broker), inline, interval=0.02).run())
    store.append([entry("e-1")])
    await until(lambda: len(broker.events) == 1)
    await end_tasks([running])


async def test_two_relays_publish_each_event_once_for_whoever_drops_repeated_ids(store: SqlDomainEvents) -> None:
    store.append([entry(f"e-{i}") for i in range(20)])
    broker = MemoryBroker()
    await asyncio.gather(*(Relay(store, MemoryTransport(broker), inline).publish() for _ in range(2)))
    assert [message.message_id for message in broker.events] == [f"e-{i}" for i in range(20)]
