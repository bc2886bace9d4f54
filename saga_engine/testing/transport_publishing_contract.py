"""What every transport must do with what it is given to publish. Part of `transport_contract`."""

from __future__ import annotations

import asyncio

from saga_engine.envelope import Message
from saga_engine.ports.transport import Delivery
from saga_engine.testing.transport_harness import (
    DEADLINE,
    TransportHarness,
    bodies,
    collect,
    command,
    nothing_comes,
    until_confirmed,
)
from saga_engine.wire.subjects import dead_subject, event_subject


class PublishingContract:
    """Confirmation, message ids, sizes and headers."""

    async def test_nothing_published_is_nothing_to_confirm(self, harness: TransportHarness) -> None:
        transport = await harness.connect()
        assert list(await transport.publish([])) == []

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

    async def test_a_message_id_is_taken_once_even_after_the_ack(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
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
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        await transport.publish([command(1, message_id=None), command(1, message_id=None)])
        received = await collect(subscription, 2)
        assert [delivery.message.message_id for delivery in received] == [None, None]

    async def test_events_and_dead_letters_are_confirmed(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        event = Message(event_subject("place_order", "OrderCreated"), {"Nats-Msg-Id": "e"}, b"{}", "e")
        dead = Message(dead_subject("order"), {"Nats-Msg-Id": "d"}, b"{}", "d")
        assert list(await transport.publish([event, dead])) == [True, True]

    async def test_an_event_subject_of_a_definitions_own_is_confirmed_in_the_end(
        self, harness: TransportHarness
    ) -> None:
        transport = await harness.connect()
        await until_confirmed(transport, [Message("ORDERS.created", {"Nats-Msg-Id": "o"}, b"{}", "o")])

    async def test_a_message_that_is_too_large_does_not_hold_up_the_others(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        large = Message("saga.command.order.create", {}, b" " * (harness.max_payload + 1), None)
        assert list(await transport.publish([command(1), large, command(2)])) == [True, False, True]
        assert bodies(await collect(subscription, 2)) == [command(1).body, command(2).body]

    async def test_headers_count_as_well_as_the_body(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
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
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        broken = Message("saga.command.order.create", {"saga\ntoken": "x"}, b"{}", None)
        assert list(await transport.publish([command(1), broken, command(2)])) == [True, False, True]
        assert bodies(await collect(subscription, 2)) == [command(1).body, command(2).body]

    async def test_a_line_break_in_a_header_makes_no_second_header(self, harness: TransportHarness) -> None:
        transport = await harness.connect(patient=True)
        subscription = await transport.commands("order")
        await transport.publish(
            [Message("saga.command.order.create", {"note": "a\r\nsaga-token: forged"}, b"{}", None)]
        )
        (delivery,) = await collect(subscription, 1)
        assert "saga-token" not in delivery.message.headers
        assert "forged" in delivery.message.headers["note"]
