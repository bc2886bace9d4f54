"""Sending again what was published: under the same ids, in order, and nothing that is the relay's to send."""

from __future__ import annotations

from saga_engine.adapters.memory.broker import MemoryBroker
from saga_engine.adapters.memory.transport import MemoryTransport
from saga_engine.core.inputs import Outcome
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.resending import Published, published_since, resend
from saga_engine.ports.store import Settlement
from tests.unit.orchestrator.support import BEGIN, SECOND, Office, turn


def office() -> tuple[Office, Client]:
    """One saga of the place definition, ended, all that it sends acknowledged; and one that has just begun."""
    made = Office()
    saga_id = made.start({})
    transactor = made.transactor()
    for step in ("one", "two"):
        made.clock.time += SECOND
        turn(transactor, saga_id, made.reply(step, Outcome.SUCCEEDED))
    head = made.store.heads([saga_id])[saga_id]
    made.store.settle([Settlement(saga_id, head.version, head.version, None)])
    return made, Client(made.store, dict, made.ids, made.clock)


async def test_what_was_published_since_then_is_sent_again_under_its_ids_and_in_order() -> None:
    _, client = office()
    [[published]] = published_since(client, BEGIN)
    assert [event.name for event in published.events] == ["OneDone", "AllDone"]
    broker = MemoryBroker()
    [done] = [one async for one in resend(MemoryTransport(broker), [published])]
    assert done.sent == 2
    assert [message.headers["ce-id"] for message in broker.events] == [
        f"{published.saga_id}/{event.version}" for event in published.events
    ]
    assert [message.subject.rpartition(".")[2] for message in broker.events] == ["OneDone", "AllDone"]


def test_what_is_older_or_of_another_saga_is_left_out() -> None:
    _, client = office()
    [[later]] = published_since(client, BEGIN + 2 * SECOND)
    assert [event.name for event in later.events] == ["AllDone"]
    assert list(published_since(client, BEGIN + 3 * SECOND)) == []
    assert list(published_since(client, BEGIN, "another")) == []


def test_what_was_never_acknowledged_is_left_to_the_relay() -> None:
    made = Office()
    saga_id = made.start({})
    turn(made.transactor(), saga_id, made.reply("one", Outcome.SUCCEEDED))
    assert list(published_since(Client(made.store, dict, made.ids, made.clock), BEGIN)) == []


async def test_of_a_saga_whose_event_is_not_confirmed_no_later_one_is_sent() -> None:
    _, client = office()
    [[published]] = published_since(client, BEGIN)
    broker = MemoryBroker()
    broker.stop()
    sent = [one async for one in resend(MemoryTransport(broker, publish_timeout=0.01), [published])]
    assert [(one.published, one.sent) for one in sent] == [(Published(published.saga_id, published.events), 0)]
    assert broker.events == []
