"""A broker that lost something under a running transport: noticed, repaired, and counted when sending again helps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from shutil import copytree

import nats
import pytest
from nats.js import JetStreamContext
from structlog.testing import capture_logs

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.transport import NatsTransport, connect
from saga_engine.envelope import Message
from saga_engine.testing.transport_harness import DEADLINE, collect, command, nothing_comes, until, until_confirmed
from saga_engine.wire.subjects import COMMANDS, EVENTS, REPLIES
from tests.nats_fixtures import NatsServer

CHECK = 0.1


@pytest.fixture
async def transport(nats_url: str) -> AsyncIterator[NatsTransport]:
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=0.5, check_interval=CHECK))
    yield transport
    await transport.close()


@pytest.fixture
async def jetstream(nats_url: str) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(nats_url)
    yield client.jetstream()
    await client.close()


async def test_streams_that_had_to_be_made_at_the_start_count_as_a_loss(
    transport: NatsTransport, nats_url: str
) -> None:
    assert transport.losses() == 1
    second = await connect(NatsSettings(servers=(nats_url,)))
    assert second.losses() == 0
    await second.close()


async def test_a_quiet_broker_has_no_losses(transport: NatsTransport) -> None:
    subscription = await transport.commands("order")
    await until_confirmed(transport, [command(number) for number in range(50)])
    await subscription.ack(await collect(subscription, 50))
    before = transport.losses()
    await asyncio.sleep(10 * CHECK)
    assert transport.losses() == before


@pytest.mark.parametrize("stream", [COMMANDS, REPLIES])
async def test_a_deleted_stream_is_made_again_and_counted_once(
    transport: NatsTransport, jetstream: JetStreamContext, stream: str
) -> None:
    subscription = await transport.commands("order")
    await until_confirmed(transport, [command(1)])
    await collect(subscription, 1)
    before = transport.losses()
    await jetstream.delete_stream(stream)
    await until(lambda: transport.losses() > before)
    await until_confirmed(transport, [command(2)])
    assert command(2).body in {delivery.message.body for delivery in await collect(subscription, 1)}
    await asyncio.sleep(5 * CHECK)
    assert transport.losses() == before + 1


async def test_a_stream_that_somebody_else_made_again_is_noticed(
    transport: NatsTransport, jetstream: JetStreamContext
) -> None:
    before = transport.losses()
    config = (await jetstream.stream_info(COMMANDS)).config
    await jetstream.delete_stream(COMMANDS)
    await jetstream.add_stream(config)
    await until(lambda: transport.losses() == before + 1)


async def test_lost_events_are_made_room_for_and_not_counted(
    transport: NatsTransport, jetstream: JetStreamContext
) -> None:
    before = transport.losses()
    await jetstream.delete_stream(EVENTS)
    names: set[str | None] = set()

    async def look() -> None:
        names.update(info.config.name for info in await jetstream.streams_info())

    await until(lambda: EVENTS in names, look)
    assert transport.losses() == before


async def test_a_deleted_consumer_is_made_again_and_nothing_is_lost(nats_url: str, jetstream: JetStreamContext) -> None:
    # What comes again does so since its consumer was deleted, and not since the machine was busy for the ack wait.
    transport = await connect(NatsSettings(servers=(nats_url,), ack_wait=DEADLINE, check_interval=CHECK))
    subscription = await transport.commands("order")
    await until_confirmed(transport, [command(1)])
    assert len(await collect(subscription, 1)) == 1
    before = transport.losses()
    with capture_logs() as logs:
        await jetstream.delete_consumer(COMMANDS, "order")
        (again,) = await collect(subscription, 1)
        await subscription.ack([again])
        await until_confirmed(transport, [command(2)])
        assert (await collect(subscription, 1))[0].message.body == command(2).body
    assert again.message.body == command(1).body
    assert transport.losses() == before
    assert len([log for log in logs if log["event"] == "nats: a pull was interrupted"]) == 1
    await transport.close()


async def test_a_store_that_was_rolled_back_is_noticed(own_nats_server: NatsServer) -> None:
    settings = NatsSettings(servers=(own_nats_server.url,), check_interval=CHECK)
    transport = await connect(settings)
    await until_confirmed(transport, [command(1)])
    own_nats_server.kill()
    copy = own_nats_server.place.store.with_name("copy")
    copytree(own_nats_server.place.store, copy)
    own_nats_server.start()
    await until_confirmed(transport, [command(2), command(3)])
    before = transport.losses()
    own_nats_server.kill()
    own_nats_server.wipe()
    copy.rename(own_nats_server.place.store)
    own_nats_server.start()
    await until(lambda: transport.losses() == before + 1)
    await transport.close()


async def test_an_outage_is_logged_once(own_nats_server: NatsServer) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), publish_timeout=0.2))
    subscription = await transport.commands("order")
    with capture_logs() as logs:
        own_nats_server.kill()
        assert await nothing_comes(subscription, 1.0)
        assert list(await transport.publish([command(1)])) == [False]
        own_nats_server.start()
        await until_confirmed(transport, [command(2)])
    lines = [(log["event"], log["log_level"]) for log in logs]
    assert lines == [("nats: connection lost, reconnecting", "warning"), ("nats: connected again", "info")]
    await transport.close()


async def test_a_full_stream_refuses_what_is_new_and_says_so_once(nats_url: str, jetstream: JetStreamContext) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,), publish_timeout=DEADLINE))
    config = (await jetstream.stream_info(COMMANDS)).config
    await jetstream.update_stream(config.evolve(max_msgs=3))
    with capture_logs() as logs:
        assert list(await transport.publish([command(n) for n in range(5)])) == [True, True, True, False, False]
        assert list(await transport.publish([command(9)])) == [False]
    (line,) = logs
    assert line["event"] == "nats: a publish was refused"
    assert "maximum messages exceeded" in line["reason"]
    await transport.close()


async def test_an_event_subject_of_a_definitions_own_ends_up_in_the_event_stream(
    transport: NatsTransport, jetstream: JetStreamContext
) -> None:
    await until_confirmed(transport, [Message("ORDERS.created", {}, b"{}", None)])
    assert (await jetstream.stream_info(EVENTS)).config.subjects == ["saga.event.>", "ORDERS.created"]
    assert (await jetstream.get_last_msg(EVENTS, "ORDERS.created")).data == b"{}"


async def test_a_subject_on_which_others_listen_already_ends_up_in_the_event_stream(
    nats_url: str, jetstream: JetStreamContext
) -> None:
    """With a listener, the server does not say that no stream takes the subject: there is only no acknowledgement."""
    listener = await nats.connect(nats_url)
    await listener.subscribe("ORDERS.>")
    await listener.flush()
    settings = NatsSettings(servers=(nats_url,), publish_timeout=0.3, check_interval=CHECK)
    transport = await connect(settings)
    await until_confirmed(transport, [Message("ORDERS.created", {}, b"{}", None)])
    assert (await jetstream.get_last_msg(EVENTS, "ORDERS.created")).data == b"{}"
    await transport.close()
    await listener.close()
