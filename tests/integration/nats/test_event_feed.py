"""Listening for domain events: durable and shared, on whatever stream keeps them, from when it was asked for first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

import nats
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.envelope import Message
from saga_engine.ports.events import EventSubscription, HeardEvent, Listening
from saga_engine.testing.transport_harness import until_confirmed
from tests.nats_fixtures import NatsServer

START = Listening("on-s-1", "SHOP.created")
WAIT = Listening("on-s-2", "SHOP.paid")


def event(number: int, subject: str = "SHOP.created") -> Message:
    return Message(subject, {"Nats-Msg-Id": f"{subject}-{number}"}, str(number).encode(), f"{subject}-{number}")


async def gather(subscription: EventSubscription, wanted: int) -> Sequence[HeardEvent]:
    heard: list[HeardEvent] = []
    while len(heard) < wanted:
        some = await subscription.receive(100)
        await subscription.ack(some)
        heard += some
    return heard


def bodies(heard: Sequence[HeardEvent]) -> list[int]:
    return sorted(int(one.delivery.message.body) for one in heard)


async def opened(url: str) -> NatsTransport:
    return await connect(NatsSettings(servers=(url,), check_interval=0.2), wait=90)


async def test_what_is_published_from_then_on_is_heard_by_one_of_those_who_share_a_name(nats_url: str) -> None:
    first, second = await opened(nats_url), await opened(nats_url)
    one = await first.event_feed().listen([START, WAIT])
    await until_confirmed(first, [event(number) for number in range(3)])
    heard = await gather(one, 3)
    assert bodies(heard) == [0, 1, 2]
    assert {each.listening for each in heard} == {START.name}
    assert all(abs(each.at / 1e6 - time.time()) < 60 for each in heard)
    two = await second.event_feed().listen([START, WAIT])
    await one.close()
    await until_confirmed(first, [event(7), event(8, "SHOP.paid")])
    assert [
        (each.listening, int(each.delivery.message.body))
        for each in sorted(await gather(two, 2), key=lambda each: each.listening)
    ] == [(START.name, 7), (WAIT.name, 8)]
    await two.close()
    for transport in (first, second):
        await transport.close()


async def test_what_was_published_before_anybody_listened_is_not_heard_and_what_is_put_back_comes_again(
    nats_url: str,
) -> None:
    client = await nats.connect(nats_url)
    with suppress(NotFoundError):
        await client.jetstream().delete_stream("SHOP")
    await client.jetstream().add_stream(name="SHOP", subjects=["SHOP.*"])
    transport = await opened(nats_url)
    await until_confirmed(transport, [event(1)])
    subscription = await transport.event_feed().listen([START])
    await until_confirmed(transport, [event(1), event(2)])
    [two] = await subscription.receive(10)
    assert int(two.delivery.message.body) == 2
    await subscription.retry_later([two], 0.01)
    [again] = await subscription.receive(10)
    assert (again.delivery.message.body, again.delivery.deliveries, again.at) == (b"2", 2, two.at)
    await subscription.close()
    await client.jetstream().delete_stream("SHOP")
    await client.close()
    await transport.close()


async def test_a_wiped_server_is_listened_to_again_and_nothing_new_is_missed(own_nats_server: NatsServer) -> None:
    transport = await opened(own_nats_server.url)
    subscription = await transport.event_feed().listen([START])
    await until_confirmed(transport, [event(1)])
    assert bodies(await gather(subscription, 1)) == [1]
    own_nats_server.kill()
    own_nats_server.wipe()
    own_nats_server.start()
    await until_confirmed(transport, [event(number) for number in range(2, 6)])
    assert bodies(await gather(subscription, 4)) == [2, 3, 4, 5]
    await subscription.close()
    await transport.close()
