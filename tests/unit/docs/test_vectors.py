"""The test vectors of the protocol, held against the code that speaks it, in both directions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, cast
from uuid import UUID

import orjson
import pytest

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Address, Command, DomainEvent, Message, Reply, parse_key, partition_of
from saga_engine.wire.commands import command_to_message, message_to_command
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.events import event_to_message
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import message_to_reply, reply_to_message
from tests.unit.docs.markdown import ROOT

Vector: TypeAlias = Mapping[str, Json]

FOLDER = ROOT / "docs" / "vectors"


def _vectors(name: str) -> list[Vector]:
    return cast(list[Vector], json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def _title(vector: Vector) -> str:
    return str(vector.get("name") or vector.get("key") or vector.get("saga_id"))


def _fields(vector: Vector, name: str) -> dict[str, str]:
    """The fields of one part. Their types are those of the envelope, which the code under test would complain about."""
    return dict(cast(Mapping[str, str], vector[name]))


def _address(key: str) -> Address:
    address = parse_key(key)
    assert address is not None, key
    return address


def _message(shown: Vector) -> Message:
    text = cast(str, shown["text"]).encode() if "text" in shown else orjson.dumps(shown["body"])
    headers = cast(dict[str, str], shown["headers"])
    return Message(cast(str, shown["subject"]), headers, text, headers.get("Nats-Msg-Id"))


def _shown(message: Message) -> Vector:
    body: Json = orjson.loads(message.body)
    return {"subject": message.subject, "headers": dict(message.headers), "body": body}


@pytest.mark.parametrize("vector", _vectors("commands"), ids=_title)
def test_a_command_is_written_and_read_as_the_vector_says(vector: Vector) -> None:
    fields = _fields(vector, "command")
    command = Command(address=_address(fields.pop("key")), **fields)  # type: ignore[arg-type] # fields of a vector
    message = _message(cast(Vector, vector["message"]))
    assert _shown(command_to_message(command)) == vector["message"]
    assert command_to_message(command).message_id == message.headers["Nats-Msg-Id"]
    assert message_to_command(message) == command


@pytest.mark.parametrize("vector", _vectors("replies"), ids=_title)
def test_a_reply_is_written_and_read_as_the_vector_says(vector: Vector) -> None:
    fields = _fields(vector, "reply")
    reply = Reply(
        address=_address(fields.pop("key")),
        outcome=Outcome(fields.pop("outcome")),
        effect=Effect(fields.pop("effect")),
        **fields,  # type: ignore[arg-type] # fields of a vector
    )
    message = _message(cast(Vector, vector["message"]))
    assert _shown(reply_to_message(reply)) == vector["message"]
    assert message_to_reply(message) == reply


@pytest.mark.parametrize("vector", _vectors("events"), ids=_title)
def test_an_event_is_written_as_the_vector_says(vector: Vector) -> None:
    fields = _fields(vector, "event")
    event = DomainEvent(saga_id=UUID(fields.pop("saga_id")), name=fields.pop("event"), **fields)  # type: ignore[arg-type] # fields of a vector
    assert _shown(event_to_message(event)) == vector["message"]


@pytest.mark.parametrize("vector", _vectors("keys"), ids=_title)
def test_a_key_is_read_as_the_vector_says(vector: Vector) -> None:
    address = parse_key(cast(str, vector["key"]))
    if vector["address"] is None:
        assert address is None
        return
    wanted = _fields(vector, "address")
    assert address == Address(
        UUID(wanted["saga_id"]), wanted["step"], cast("int | None", wanted["item"]), Direction(wanted["direction"])
    )
    assert (address.key, address.undoes) == (vector["key"], wanted["undoes"])


@pytest.mark.parametrize("vector", _vectors("partitions"), ids=_title)
def test_a_saga_is_in_the_partition_that_the_vector_says(vector: Vector) -> None:
    assert partition_of(UUID(cast(str, vector["saga_id"]))) == vector["partition"]


@pytest.mark.parametrize("vector", _vectors("unreadable"), ids=_title)
def test_a_message_that_breaks_the_protocol_is_unreadable_for_the_reason_in_the_vector(vector: Vector) -> None:
    read = {"command": message_to_command, "reply": message_to_reply}[cast(str, vector["kind"])]
    assert read(_message(cast(Vector, vector["message"]))) == Unreadable(cast(str, vector["reason"]))


@pytest.mark.parametrize("vector", _vectors("dead_letters"), ids=_title)
def test_a_dead_letter_holds_the_original_as_the_vector_says(vector: Vector) -> None:
    original = _message(cast(Vector, vector["original"]))
    letter = dead_letter(cast(str, vector["participant"]), original, cast(str, vector["reason"]))
    assert _shown(letter) == vector["message"]
    assert letter.message_id is None
