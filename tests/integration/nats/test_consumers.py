"""What the server keeps of a consumer over its restart, and what becomes of one that was made otherwise."""

from __future__ import annotations

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.adapters.nats.streams import reply_consumer
from saga_engine.adapters.nats.transport import connect
from saga_engine.errors import TransportUnavailableError
from saga_engine.testing.transport_harness import collect, command, reply, until_confirmed
from saga_engine.wire.subjects import COMMANDS, REPLIES
from tests.nats_fixtures import NatsServer

PARTITION = 3


async def in_memory(url: str, stream: str, consumer: str) -> bool:
    client = await nats.connect(url)
    try:
        return bool((await client.jetstream().consumer_info(stream, consumer)).config.mem_storage)
    finally:
        await client.close()


async def test_a_reply_that_is_not_acknowledged_comes_again_though_its_consumer_is_forgotten(
    own_nats_server: NatsServer,
) -> None:
    transport = await connect(NatsSettings(servers=(own_nats_server.url,), ack_wait=60.0))
    replies = await transport.replies([PARTITION])
    await until_confirmed(transport, [reply(PARTITION)])
    (taken,) = await collect(replies, 1)
    await replies.close()
    own_nats_server.kill()
    own_nats_server.start()
    client = await nats.connect(own_nats_server.url)
    with pytest.raises(NotFoundError):
        await client.jetstream().consumer_info(REPLIES, reply_consumer(PARTITION).name)
    await client.close()
    (again,) = await collect(await transport.replies([PARTITION]), 1)
    assert again.message == taken.message
    await transport.close()


async def test_what_is_in_flight_of_commands_is_remembered_over_a_restart_of_the_server(nats_url: str) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,)))
    commands = await transport.commands("order")
    await until_confirmed(transport, [command(0)])
    await collect(commands, 1)
    assert not await in_memory(nats_url, COMMANDS, "order")
    await transport.close()


async def test_a_consumer_of_replies_that_was_made_to_last_is_taken_as_it_is(nats_url: str) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,)))
    await transport.provision([], [])
    replies = await transport.replies([PARTITION])
    await until_confirmed(transport, [reply(PARTITION)])
    assert len(await collect(replies, 1)) == 1
    assert not await in_memory(nats_url, REPLIES, reply_consumer(PARTITION).name)
    await transport.close()


async def test_provisioning_makes_a_consumer_last_that_did_not(nats_url: str) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,)))
    replies = await transport.replies([PARTITION])
    await until_confirmed(transport, [reply(PARTITION)])
    assert len(await collect(replies, 1)) == 1
    assert await in_memory(nats_url, REPLIES, reply_consumer(PARTITION).name)
    await transport.provision([], [])
    assert not await in_memory(nats_url, REPLIES, reply_consumer(PARTITION).name)
    # What was in flight comes again: nobody has acknowledged it.
    assert len(await collect(replies, 1)) == 1
    await transport.close()


async def test_a_consumer_that_cannot_be_made_for_another_reason_is_told(nats_url: str) -> None:
    transport = await connect(NatsSettings(servers=(nats_url,)))
    client = await nats.connect(nats_url)
    stranger = ConsumerConfig(name="all", durable_name="all", ack_policy=AckPolicy.EXPLICIT)
    await client.jetstream().add_consumer(REPLIES, stranger)
    await client.close()
    with pytest.raises(TransportUnavailableError, match="the consumers could not be made"):
        await transport.provision([], [])
    await transport.close()
