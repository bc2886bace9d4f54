"""What lies in a subscription's buffer when nobody takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats
import pytest
from nats.js import JetStreamContext

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.testing.transport_harness import DEADLINE, collect, command, until, until_confirmed
from saga_engine.wire.subjects import COMMANDS

ACK_WAIT_S = 60.0


@pytest.fixture
async def jetstream(nats_url: str) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_url)
    yield client.jetstream()
    await client.close()


async def in_buffer(transport: NatsTransport, jetstream: JetStreamContext, count: int) -> None:
    """Publish, and wait until all is delivered to the only one who has asked."""
    await until_confirmed(transport, [command(number) for number in range(count)])
    waiting: list[int | None] = [None]

    async def look() -> None:
        waiting[0] = (await jetstream.consumer_info(COMMANDS, "order")).num_ack_pending

    await until(lambda: waiting[0] == count, look)
    # A round trip on the connection of the subscription: what the server sent before it has arrived.
    assert list(await transport.publish([command(count, "payment")])) == [True]


async def test_what_was_not_handed_out_goes_to_others_at_once_on_close(
    nats_url: str, jetstream: JetStreamContext
) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=60.0))
    subscription = await transport.commands("order")
    asking = asyncio.ensure_future(subscription.receive(20))
    await until_confirmed(transport, [command(0)])
    await subscription.ack(await asking)
    await in_buffer(transport, jetstream, 10)
    await subscription.close()
    assert len(await collect(await transport.commands("order"), 10)) == 10
    await transport.close()


async def test_what_lay_longer_than_the_ack_wait_is_left_to_its_redelivery(
    nats_url: str, jetstream: JetStreamContext
) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=1.0))
    subscription = await transport.commands("order")
    asking = asyncio.ensure_future(subscription.receive(2))
    await until_confirmed(transport, [command(0)])
    await subscription.ack(await asking)
    await in_buffer(transport, jetstream, 1)
    await asyncio.sleep(1.5)
    (delivery,) = await collect(subscription, 1)
    assert delivery.deliveries > 1
    await transport.close()


async def test_for_what_was_taken_late_the_ack_wait_starts_anew(
    nats_url: str, jetstream: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=ACK_WAIT_S))
    subscription = await transport.commands("order")
    asking = asyncio.ensure_future(subscription.receive(2))
    await until_confirmed(transport, [command(0)])
    await subscription.ack(await asking)
    client = await nats.connect(nats_url)
    said = await client.subscribe(f"$JS.ACK.{COMMANDS}.order.>")
    await client.flush()
    await in_buffer(transport, jetstream, 1)
    # A little later than a quarter of the ack wait, as far as the subscription knows.
    late = loop.time() + ACK_WAIT_S / 4 + 0.1
    monkeypatch.setattr(subscription, "_time", lambda: late)
    (taken,) = await collect(subscription, 1)
    assert taken.deliveries == 1
    while (told := await said.next_msg(timeout=DEADLINE)).data == b"+ACK":
        assert told.subject != str(taken.token)
    assert (told.subject, told.data) == (str(taken.token), b"+WPI")
    await client.close()
    await transport.close()


async def test_acks_go_out_by_themselves_and_before_the_subscription_is_closed(
    nats_url: str, jetstream: JetStreamContext
) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=60.0))
    subscription = await transport.commands("order")
    left: list[int | None] = [None]

    async def look() -> None:
        info = await jetstream.stream_info(COMMANDS)
        left[0] = info.state.messages

    await until_confirmed(transport, [command(number) for number in range(100)])
    await subscription.ack(await collect(subscription, 100))
    await until(lambda: left[0] == 0, look)
    await until_confirmed(transport, [command(100)])
    await subscription.ack(await collect(subscription, 1))
    await until(lambda: left[0] == 0, look)
    await until_confirmed(transport, [command(101)])
    await subscription.ack(await collect(subscription, 1))
    await subscription.close()
    await transport.close()
    await until(lambda: left[0] == 0, look)
