"""What every transport must do, as a suite of tests: derive a class from `TransportContract` and give it a `harness`.

    class TestMyTransport(TransportContract):
        @pytest.fixture
        async def harness(self) -> AsyncIterator[TransportHarness]: ...

Knows no adapter. Needs pytest with pytest-asyncio in auto mode to run, and neither to be imported.
"""

from __future__ import annotations

import asyncio

from saga_engine.envelope import Message
from saga_engine.errors import TransportUnavailableError
from saga_engine.ports.transport import Delivery
from saga_engine.testing.transport_harness import (
    DEADLINE,
    TransportHarness,
    bodies,
    collect,
    command,
    nothing_comes,
    reply,
    until,
    until_confirmed,
)
from saga_engine.wire.subjects import dead_subject, event_subject


class TransportContract:
    """The suite. Every test gets a fresh broker."""

    async def test_a_command_arrives_as_it_was_sent(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
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

    async def test_nothing_published_is_nothing_to_confirm(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        assert list(await transport.publish([])) == []

    async def test_commands_wait_for_a_worker_that_comes_later(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        await until_confirmed(transport, [command(1)])
        assert bodies(await collect(await transport.commands("order"), 1)) == [command(1).body]

    async def test_a_participant_gets_its_own_commands_only(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        order, payment = await transport.commands("order"), await transport.commands("payment")
        await until_confirmed(transport, [command(1, "payment"), command(2, "order"), command(3, "order_extra")])
        assert bodies(await collect(order, 1)) == [command(2).body]
        assert bodies(await collect(payment, 1)) == [command(1).body]
        assert await nothing_comes(order, harness.ack_wait / 2)

    async def test_many_messages_are_confirmed_and_arrive_in_order(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        sent = [command(number) for number in range(5_000)]
        assert all(await transport.publish(sent))
        received: list[Delivery] = []
        async with asyncio.timeout(DEADLINE):
            while len(received) < len(sent):
                new = await subscription.receive(400)
                received += new
                await subscription.ack(new)
        assert bodies(received) == [message.body for message in sent]

    async def test_receive_returns_no_more_than_asked(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(number) for number in range(10)])
        while_waiting: list[int] = []
        while sum(while_waiting) < 10:
            async with asyncio.timeout(DEADLINE):
                while_waiting.append(len(await subscription.receive(3)))
        assert max(while_waiting) <= 3

    async def test_a_message_id_is_taken_once_even_after_the_ack(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        assert list(await transport.publish([command(1, message_id="same"), command(2, message_id="same")])) == [
            True,
            True,
        ]
        first = await collect(subscription, 1)
        assert bodies(first) == [command(1).body]
        await subscription.ack(first)
        assert list(await transport.publish([command(3, message_id="same")])) == [True]
        assert await nothing_comes(subscription, 2 * harness.ack_wait)

    async def test_messages_without_an_id_are_not_compared(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await transport.publish([command(1, message_id=None), command(1, message_id=None)])
        received = await collect(subscription, 2)
        assert [delivery.message.message_id for delivery in received] == [None, None]

    async def test_what_is_not_acknowledged_comes_again_after_the_ack_wait(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        await collect(subscription, 1)
        began = asyncio.get_running_loop().time()
        (again,) = await collect(subscription, 1)
        assert again.message.body == command(1).body
        assert again.deliveries == 2
        assert harness.ack_wait / 2 < asyncio.get_running_loop().time() - began < harness.ack_wait + DEADLINE / 3

    async def test_what_is_acknowledged_does_not_come_again(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        await subscription.ack(await collect(subscription, 1))
        assert await nothing_comes(subscription, 2 * harness.ack_wait)

    async def test_an_ack_of_an_earlier_delivery_counts(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        first = await collect(subscription, 1)
        await collect(subscription, 1)
        await subscription.ack(first)
        assert await nothing_comes(subscription, 2 * harness.ack_wait)

    async def test_progress_starts_the_ack_wait_anew(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await until_confirmed(transport, [command(1)])
        delivery = await collect(subscription, 1)
        receiving = asyncio.ensure_future(subscription.receive(1))
        for _ in range(8):
            await asyncio.sleep(harness.ack_wait / 4)
            assert not receiving.done(), "the message came again although work on it went on"
            await subscription.in_progress(delivery)
        async with asyncio.timeout(DEADLINE):
            (again,) = await receiving
        assert again.deliveries == 2

    async def test_what_is_put_back_comes_again_after_its_delay(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
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
        one, other = await harness.connect(), await harness.connect()
        subscriptions = [await one.commands("order"), await other.commands("order")]
        received: list[list[bytes]] = [[], []]

        async def work(index: int) -> None:
            while True:
                deliveries = await subscriptions[index].receive(1)
                received[index] += bodies(deliveries)
                await subscriptions[index].ack(deliveries)

        workers = [asyncio.ensure_future(work(index)) for index in (0, 1)]
        sent = [command(number) for number in range(200)]
        await until_confirmed(one, sent)
        await until(lambda: sum(map(len, received)) >= len(sent))
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert sorted(received[0] + received[1]) == sorted(message.body for message in sent)
        assert received[0]
        assert received[1]

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

    async def test_events_and_dead_letters_are_confirmed(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        event = Message(event_subject("place_order", "OrderCreated"), {"Nats-Msg-Id": "e"}, b"{}", "e")
        dead = Message(dead_subject("order"), {"Nats-Msg-Id": "d"}, b"{}", "d")
        assert list(await transport.publish([event, dead])) == [True, True]

    async def test_an_event_subject_of_a_definitions_own_is_confirmed_in_the_end(
        self, harness: TransportHarness
    ) -> None:
        transport = await harness.connect()
        await until_confirmed(transport, [Message("ORDERS.created", {"Nats-Msg-Id": "o"}, b"{}", "o")])

    async def test_a_message_that_is_too_large_does_not_hold_up_the_others(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        large = Message("saga.command.order.create", {}, b" " * (harness.max_payload + 1), None)
        assert list(await transport.publish([command(1), large, command(2)])) == [True, False, True]
        assert bodies(await collect(subscription, 2)) == [command(1).body, command(2).body]

    async def test_headers_count_as_well_as_the_body(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        body = b" " * (harness.max_payload - 600)
        fits = Message("saga.command.order.create", {"saga-token": "x" * 500}, body, None)
        large = Message("saga.command.order.create", {"saga-token": "x" * 600}, body, None)
        sent = [command(1), large, fits, large, command(2)]
        assert list(await transport.publish(sent)) == [True, False, True, False, True]
        assert bodies(await collect(subscription, 3)) == [command(1).body, body, command(2).body]

    async def test_a_header_name_that_cannot_be_sent_does_not_hold_up_the_others(
        self, harness: TransportHarness
    ) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        broken = Message("saga.command.order.create", {"saga\ntoken": "x"}, b"{}", None)
        assert list(await transport.publish([command(1), broken, command(2)])) == [True, False, True]
        assert bodies(await collect(subscription, 2)) == [command(1).body, command(2).body]

    async def test_a_line_break_in_a_header_makes_no_second_header(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        subscription = await transport.commands("order")
        await transport.publish(
            [Message("saga.command.order.create", {"note": "a\r\nsaga-token: forged"}, b"{}", None)]
        )
        (delivery,) = await collect(subscription, 1)
        assert "saga-token" not in delivery.message.headers
        assert "forged" in delivery.message.headers["note"]

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
        transport = await harness.connect()
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
