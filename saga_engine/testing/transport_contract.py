"""What every transport must do, as a suite of tests: derive a class from `TransportContract` and give it a `harness`.

    class TestMyTransport(TransportContract):
        @pytest.fixture
        async def harness(self) -> AsyncIterator[TransportHarness]: ...

This file holds what concerns rings, outages and the end. Knows no adapter. Needs pytest with pytest-asyncio in auto
mode to run, and neither to be imported.
"""

from __future__ import annotations

import asyncio

from saga_engine.errors import TransportUnavailableError
from saga_engine.testing.transport_delivery_contract import DeliveryContract
from saga_engine.testing.transport_harness import (
    DEADLINE,
    TransportHarness,
    bodies,
    collect,
    command,
    until,
    until_confirmed,
)
from saga_engine.testing.transport_publishing_contract import PublishingContract


class TransportContract(PublishingContract, DeliveryContract):
    """The whole suite. Every test gets a fresh broker."""

    async def test_a_ring_is_heard_by_those_who_listen(self, harness: TransportHarness) -> None:
        one, other = await harness.connect(), await harness.connect()
        heard: list[int] = []
        stop = await one.on_ring(heard.append)
        await until(lambda: {3, 7} <= set(heard), lambda: other.ring([3, 7]))
        await stop()
        second: list[int] = []
        await one.on_ring(second.append)
        before = len(heard)
        await until(lambda: 9 in second, lambda: other.ring([9]))
        assert len(heard) == before

    async def test_publishing_to_an_unreachable_broker_is_unknown_after_the_time_limit(
        self, harness: TransportHarness
    ) -> None:
        transport = await harness.connect()
        await harness.stop()
        await transport.ring([1])
        began = asyncio.get_running_loop().time()
        assert list(await transport.publish([command(1), command(2)])) == [False, False]
        took = asyncio.get_running_loop().time() - began
        assert harness.publish_timeout * 0.9 <= took < harness.publish_timeout + DEADLINE

    async def test_a_broker_that_comes_back_has_kept_what_it_confirmed(self, harness: TransportHarness) -> None:
        transport = await harness.connect(ack_wait=DEADLINE)
        subscription = await transport.commands("order")
        sent = [command(number) for number in range(200)]
        await until_confirmed(transport, sent)
        await harness.stop()
        receiving = asyncio.ensure_future(collect(subscription, len(sent)))
        await harness.start()
        losses = transport.losses()
        assert bodies(await receiving) == [message.body for message in sent]
        await until_confirmed(transport, [command(999)])
        assert bodies(await collect(subscription, 1))
        assert transport.losses() == losses

    async def test_work_goes_on_and_the_loss_is_noticed_when_the_broker_forgot_everything(
        self, harness: TransportHarness
    ) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        heard: list[int] = []
        await transport.on_ring(heard.append)
        await until_confirmed(transport, [command(1)])
        before = transport.losses()
        await harness.stop()
        await harness.wipe()
        receiving = asyncio.ensure_future(collect(subscription, 1))
        await harness.start()
        await until(lambda: transport.losses() == before + 1)
        await until_confirmed(transport, [command(2)])
        assert bodies(await receiving) == [command(2).body]
        await until(lambda: bool(heard), lambda: transport.ring([4]))
        assert transport.losses() == before + 1

    async def test_a_closed_transport_confirms_nothing_and_may_be_closed_again(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await transport.close()
        await transport.close()
        assert list(await transport.publish([command(1)])) == [False]
        await transport.ring([1])
        try:
            await subscription.receive(1)
        except TransportUnavailableError:
            return
        raise AssertionError("receive on a closed transport returned")
