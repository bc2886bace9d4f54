"""What must get through gets through: messages that would be too large for a server are cut, and say so."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from saga_engine.adapters.nats.settings import NatsSettings
from saga_engine.core.events import Direction
from saga_engine.definition.values import MAX_PAYLOAD
from saga_engine.envelope import Address, Command, DomainEvent, Message
from saga_engine.wire.commands import command_to_message
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.events import event_to_message
from saga_engine.wire.headers import REASON, TRUNCATED
from saga_engine.wire.sizes import MAX_BYTES, sent_size
from tests.unit.participant.support import NOW, saga_id

EVENT = DomainEvent(saga_id(), "place_order", "o-1", 7, "OrderCreated", None, None, NOW, None)
SERVER_TAKES = 1_048_576


def test_a_dead_letter_that_fits_is_the_whole_message() -> None:
    original = Message("saga.command.payment.debit", {"saga-key": "k"}, b"x" * (MAX_BYTES - 1_000), "id")
    letter = dead_letter("payment", original, "not readable")
    assert letter.body == original.body
    assert TRUNCATED not in letter.headers


def test_a_dead_letter_of_a_huge_body_is_cut_and_says_how_large_it_was() -> None:
    body = b"x" * (SERVER_TAKES - 100)
    letter = dead_letter("payment", Message("saga.command.payment.debit", {"saga-key": "k"}, body, None), "why")
    assert sent_size(letter.headers, letter.body) == MAX_BYTES
    assert body.startswith(letter.body)
    assert letter.headers[TRUNCATED] == str(sent_size({"saga-key": "k"}, body))
    assert (letter.headers["saga-key"], letter.headers[REASON]) == ("k", "why")
    assert letter.headers["saga-original-subject"] == "saga.command.payment.debit"


@pytest.mark.parametrize(
    "headers",
    [{"saga-key": "k", "huge": "h" * 1_000_000}, {"saga-key": "k"} | {f"h-{n}": "x" * 80 for n in range(11_000)}],
    ids=["one long", "many short"],
)
def test_a_dead_letter_of_huge_headers_keeps_those_that_fit_and_the_reason(headers: dict[str, str]) -> None:
    letter = dead_letter("payment", Message("saga.command.payment.debit", headers, b"body", None), "why")
    assert sent_size(letter.headers, letter.body) < 70_000
    assert letter.body == b"body"
    assert (letter.headers["saga-key"], letter.headers[REASON]) == ("k", "why")
    assert letter.headers[TRUNCATED] == str(sent_size(headers, b"body"))


def test_the_largest_command_that_the_limits_allow_fits_any_server_that_is_let_serve() -> None:
    """So no command is sent again for ever since it is too large: payload and result are bounded where they come in."""
    place = "/".join(["s" * 63] * 10)
    address = Address(saga_id(), place, 999, Direction.COMPENSATE)
    command = Command(
        address=address,
        saga="s" * 63,
        participant="p" * 63,
        command="c" * 63,
        partition=15,
        attempt=10**6,
        send=10**15,
        payload="x" * (MAX_PAYLOAD - 2),
        issued_at=NOW,
        deadline=NOW,
        must_succeed=True,
        undone_result="y" * (MAX_PAYLOAD - 2),
        token="t" * 200,
        traceparent="0" * 55,
        undone_command=f"{'p' * 63}.{'c' * 63}",
    )
    message = command_to_message(command)
    assert 2 * MAX_PAYLOAD < sent_size(message.headers, message.body) < MAX_BYTES < NatsSettings().least_payload


def test_event_data_that_no_server_takes_is_replaced_by_a_note() -> None:
    most = "x" * (MAX_BYTES - 2)
    assert orjson.loads(event_to_message(replace(EVENT, data=most)).body) == most
    message = event_to_message(replace(EVENT, data=most + "x"))
    assert orjson.loads(message.body) == {"error": "the data has 921601 bytes; at most 921600 are published"}
    assert message.headers == event_to_message(EVENT).headers
