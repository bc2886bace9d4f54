"""What every transport must do with what it delivers. Part of `transport_contract`."""

from __future__ import annotations

import asyncio

from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.testing.transport_harness import (
    DEADLINE,
    TransportHarness,
    bodies,
    collect,
    command,
    ends_with_ack,
    nothing_comes,
    reply,
    until,
    until_confirmed,
)


class DeliveryContract:
    """Who gets a message, when it comes again, and what ends a subscription."""

    async def test_a_command_arrives_as_it_was_sent(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        sent = Message(
            "saga.command.order.create",
            {"Nats-Msg-Id": "m-1", "saga-key": "k/forward", "note": "fünf: 5 €"},
            b'{"payload":1}',
            "m-1",
        )
        assert list(await transport.publish([sent])) == [True]
        (delivery,) = await collect(subscription, 1)
        assert delivery.message == sent
        assert delivery.deliveries == 1

    async def test_commands_wait_for_a_worker_that_comes_later(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        await until_confirmed(transport, [command(1)])
        assert bodies(await collect(await transport.commands("order"), 1)) == [command(1).body]

    async def test_a_participant_gets_its_own_commands_only(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        order, payment = await transport.commands("order"), await transport.commands("payment")
        await until_confirmed(transport, [command(1, "payment"), command(2, "order"), command(3, "order_extra")])
        assert bodies(await collect(order, 1)) == [command(2).body]
        assert bodies(await collect(payment, 1)) == [command(1).body]
        assert await nothing_comes(order, harness.ack_wait / 2)

    async def test_receive_returns_no_more_than_asked(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(number) for number in range(10)])
        while_waiting: list[int] = []
        while sum(while_waiting) < 10:
            async with asyncio.timeout(DEADLINE):
                while_waiting.append(len(await subscription.receive(3)))
        assert max(while_waiting) <= 3

    async def test_what_is_not_acknowledged_comes_again_after_the_ack_wait(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        began = asyncio.get_running_loop().time()
        await until_confirmed(transport, [command(1)])
        (first,) = await collect(subscription, 1)
        (again,) = await collect(subscription, 1)
        assert again.message.body == command(1).body
        assert again.deliveries > first.deliveries
        assert asyncio.get_running_loop().time() - began > harness.ack_wait / 2

    async def test_what_is_acknowledged_does_not_come_again(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        assert await ends_with_ack(subscription, await collect(subscription, 1), 2 * harness.ack_wait)

    async def test_an_ack_of_an_earlier_delivery_counts(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        first = await collect(subscription, 1)
        await collect(subscription, 1)
        assert await ends_with_ack(subscription, first, 2 * harness.ack_wait)

    async def test_progress_starts_the_ack_wait_anew(self, harness: TransportHarness) -> None:
        ack_wait = 4 * harness.ack_wait  # so that a busy machine is not taken for work that has stopped
        transport = await harness.connect(ack_wait=ack_wait)
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        delivery = await collect(subscription, 1)
        receiving = asyncio.ensure_future(subscription.receive(1))
        for _ in range(12):
            await asyncio.sleep(ack_wait / 10)
            assert not receiving.done(), "the message came again although work on it went on"
            await subscription.in_progress(delivery)
        async with asyncio.timeout(DEADLINE):
            (again,) = await receiving
        assert again.deliveries == 2

    async def test_what_is_put_back_comes_again_after_its_delay(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        delay = 2 * harness.ack_wait
        delivery = await collect(subscription, 1)
        began = asyncio.get_running_loop().time()
        await subscription.retry_later(delivery, delay)
        (again,) = await collect(subscription, 1)
        assert asyncio.get_running_loop().time() - began >= delay * 0.95
        assert again.deliveries == 2

    async def test_workers_of_a_participant_share_its_commands(self, harness: TransportHarness) -> None:
        one, other = await harness.connect(patient=True), await harness.connect(patient=True)
        subscriptions = [await one.commands("order"), await other.commands("order")]
        received: list[list[bytes]] = [[], []]
        both_have_one = asyncio.Event()

        async def work(index: int) -> None:
            while True:
                deliveries = await subscriptions[index].receive(1)
                received[index] += bodies(deliveries)
                if all(received):
                    both_have_one.set()
                await both_have_one.wait()
                await subscriptions[index].ack(deliveries)

        workers = [asyncio.ensure_future(work(index)) for index in (0, 1)]
        sent = [command(number) for number in range(200)]
        await until_confirmed(one, sent)
        await until(lambda: sum(map(len, received)) >= len(sent))
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert sorted(received[0] + received[1]) == sorted(message.body for message in sent)

    async def test_replies_of_several_partitions_are_one_flow(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        mine, others = await transport.replies([0, 5, 11]), await transport.replies([3])
        await until_confirmed(transport, [reply(partition, partition) for partition in (11, 3, 0, 5)])
        assert sorted(bodies(await collect(mine, 3))) == sorted(reply(p, p).body for p in (0, 5, 11))
        assert bodies(await collect(others, 1)) == [reply(3, 3).body]

    async def test_a_closed_subscription_leaves_its_messages_to_others(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        first = await transport.commands("order")
        await until_confirmed(transport, [command(number) for number in range(4)])
        (held,) = await collect(first, 1)
        await first.close()
        received = await collect(await transport.commands("order"), 4)
        assert sorted(bodies(received)) == sorted(command(number).body for number in range(4))
        assert next(d for d in received if d.message.body == held.message.body).deliveries >= 2

    async def test_a_closed_subscription_refuses_to_receive(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        receiving = asyncio.ensure_future(subscription.receive(1))
        await asyncio.sleep(0)
        await subscription.close()
        for attempt in (receiving, subscription.receive(1)):
            try:
                async with asyncio.timeout(DEADLINE):
                    await attempt
            except TransportUnavailableError:
                continue
            raise AssertionError("receive on a closed subscription returned")
