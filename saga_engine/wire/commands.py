"""Commands as messages: what one send looks like, and how it is read."""

from __future__ import annotations

from typing import Final

import orjson

from saga_engine.core.events import Direction
from saga_engine.definition.model import Json
from saga_engine.envelope import Command, Message, parse_key
from saga_engine.wire.headers import (
    ATTEMPT,
    DEADLINE,
    ISSUED_AT,
    KEY,
    MESSAGE_ID,
    MUST_SUCCEED,
    PARTITION,
    RESENT,
    SAGA,
    SEND,
    TOKEN,
    TRACEPARENT,
    UNDOES,
    UNDOES_COMMAND,
)
from saga_engine.wire.reading import Unreadable, integers, json_object
from saga_engine.wire.subjects import command_subject, read_command_subject

_COMPENSATE: Final = Direction.COMPENSATE
"""Named once: Python 3.11 looks for a member of an enumeration six times as long as for a name."""


def command_to_message(command: Command) -> Message:
    """The message of one send. Body and key are the same for all sends of a command."""
    key = command.key
    message_id = f"{key}/{command.attempt}/{command.send}"
    subject = command_subject(command.participant, command.command)
    headers = {
        MESSAGE_ID: message_id,
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": f"saga/{command.saga}",
        "ce-type": subject,
        KEY: key,
        SAGA: command.saga,
        ATTEMPT: str(command.attempt),
        SEND: str(command.send),
        ISSUED_AT: str(command.issued_at),
        DEADLINE: str(command.deadline),
        PARTITION: str(command.partition),
        TOKEN: command.token,
    }
    body: dict[str, Json] = {"payload": command.payload}
    if command.must_succeed:
        headers[MUST_SUCCEED] = "true"
    if command.address.direction is _COMPENSATE:
        headers[UNDOES] = command.address.undoes
        body["result"] = command.undone_result
    if command.undone_command is not None:
        headers[UNDOES_COMMAND] = command.undone_command
    if command.traceparent is not None:
        headers[TRACEPARENT] = command.traceparent
    return Message(subject, headers, orjson.dumps(body), message_id)


def message_to_command(message: Message) -> Command | Unreadable:
    """Read a command; the participant and the command are taken from the subject."""
    asked = read_command_subject(message.subject)
    if asked is None:
        return Unreadable(f"not a command subject: {message.subject}")
    headers = message.headers
    address = parse_key(headers.get(KEY, ""))
    if address is None:
        return Unreadable(f"header {KEY} is missing or is no idempotency key")
    numbers = integers(headers, (ATTEMPT, SEND, ISSUED_AT, DEADLINE, PARTITION))
    if isinstance(numbers, Unreadable):
        return numbers
    participant, command = asked
    attempt, send, issued_at, deadline, partition = numbers
    body = json_object(message.body)
    if isinstance(body, Unreadable):
        return body
    if "payload" not in body:
        return Unreadable("the body has no payload")
    # By position, in the order of the fields: so many names cost twice what all else of making it does.
    return Command(
        address,
        headers.get(SAGA, ""),
        participant,
        command,
        partition,
        attempt,
        send,
        body["payload"],
        issued_at,
        deadline,
        headers.get(MUST_SUCCEED) == "true",
        body.get("result"),
        headers.get(TOKEN, ""),
        headers.get(TRACEPARENT),
        headers.get(UNDOES_COMMAND),
        RESENT in headers,
    )


def command_without_body(message: Message) -> Command | Unreadable:
    """Who asks, of a command that cannot be read: it is answered, so that its step does not hang.

    Unreadable when not even its subject and headers say it.
    """
    return message_to_command(Message(message.subject, message.headers, b'{"payload":null}', None))
