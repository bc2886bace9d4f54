"""Hearing what sagas publish: which saga has news, shared among those that listen for the same, over reconnections."""

from __future__ import annotations

from uuid import UUID

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import connect
from saga_engine.envelope import DomainEvent, Message
from saga_engine.testing.transport_harness import until, until_confirmed
from saga_engine.wire.events import event_to_message
from tests.nats_fixtures import NatsServer


def event(number: int, subject: str | None = None) -> Message:
    return event_to_message(
        DomainEvent(UUID(int=number), "trip", f"k-{number}", 3, "Booked", subject, {"n": number}, 1, None)
    )


async def nothing() -> None:
    """There is nothing to do but wait."""


async def test_each_event_is_heard_once_by_those_who_share(nats_url: str) -> None:
    settings = NatsSettings(servers=(nats_url,))
    transport, other = await connect(settings), await connect(settings)
    heard: list[UUID] = []
    elsewhere: list[UUID] = []
    for one in (transport, other):
        await one.event_bell().listen("orders", ["TRIPS.booked"], heard.append)
    await other.event_bell().listen("customers", [], elsewhere.append)
    await until_confirmed(transport, [event(number) for number in range(20)])
    await until_confirmed(transport, [event(99, "TRIPS.booked")])
    await until(lambda: UUID(int=99) in heard and len(set(elsewhere)) == 20, nothing)
    assert sorted(heard) == [*(UUID(int=number) for number in range(20)), UUID(int=99)]
    assert sorted(elsewhere) == [UUID(int=number) for number in range(20)]
    await transport.close()
    await other.close()


async def test_what_is_no_event_of_a_saga_is_not_heard(nats_url: str) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,)))
    heard: list[UUID] = []
    await transport.event_bell().listen("orders", [], heard.append)
    strange = [Message("saga.event.trip.Booked", headers, b"{}", None) for headers in ({}, {"ce-id": "7"})]
    await until_confirmed(transport, [*strange, event(1)])
    await until(lambda: bool(heard), nothing)
    assert heard == [UUID(int=1)]
    await transport.close()


async def test_it_is_heard_again_after_the_server_was_away(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,)))
    heard: list[UUID] = []
    await transport.event_bell().listen("orders", [], heard.append)
    own_nats_server.kill()
    own_nats_server.start()
    await until_confirmed(transport, [event(1)])
    await until(lambda: UUID(int=1) in heard, nothing)
    await transport.close()
