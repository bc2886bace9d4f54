"""Makes records of what a recorder sees at its ports: messages, and the rows of a participant's inbox.

Owns how a message or a row is told as a record. Knows no file and no checker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, select

from saga_engine.audit.records.messages import Carried, Delivered, Published
from saga_engine.audit.records.participants import InboxRow
from saga_engine.core.events import Effect
from saga_engine.envelope import Message, parse_key
from saga_engine.sql.schema import inbox
from saga_engine.wire.commands import message_to_command
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.replies import message_to_reply

_CARRIED: Final = {"command": Carried.COMMAND, "reply": Carried.REPLY, "dead": Carried.DEAD}
_UUID_LENGTH: Final = 36


def published(
    message: Message,
    at: int,
    *,
    order: int | None = None,
    process: str = "",
    acknowledged: bool | None = None,
    forged: bool = False,
) -> Published:
    """A message that the transport port was handed, or that was planted on the wire (`forged`)."""
    record = Published(
        carried=carried_by(message),
        subject=message.subject,
        at=at,
        order=order,
        process=process,
        message_id=message.message_id,
        body_hash=hashlib.sha256(message.body).hexdigest(),
        acknowledged=acknowledged,
        forged=forged,
    )
    if record.carried is Carried.COMMAND:
        return _command(record, message)
    if record.carried is Carried.REPLY:
        return _reply(record, message)
    return _event(record, message) if record.carried is Carried.EVENT else record


def delivered(
    message: Message, deliveries: int, at: int, *, process: str, order: int | None = None, forged: bool = False
) -> Delivered:
    """One delivery of a message to a process."""
    address = parse_key(message.headers.get("saga-key", ""))
    saga_id = None if address is None else address.saga_id
    return Delivered(
        carried_by(message), message.message_id, saga_id, process, deliveries, at, order=order, forged=forged
    )


def inbox_rows(participant: str, connection: Connection) -> Sequence[InboxRow]:
    """Everything that a participant's inbox has on record; what is no idempotency key of ours is left out."""
    columns = (inbox.c.key, inbox.c.outcome, inbox.c.effect, inbox.c.code, inbox.c.recorded_at)
    found: list[InboxRow] = []
    for key, outcome, effect, code, recorded_at in connection.execute(select(*columns).order_by(inbox.c.key)):
        address = parse_key(key)
        if address is not None:
            found.append(InboxRow(participant, key, address.saga_id, outcome, Effect(effect), code, recorded_at))
    return found


def carried_by(message: Message) -> Carried:
    """What a message is, by its subject. Domain events may have any other subject."""
    tokens = message.subject.split(".")
    return _CARRIED.get(tokens[1], Carried.EVENT) if tokens[0] == "saga" and len(tokens) > 1 else Carried.EVENT


def _command(record: Published, message: Message) -> Published:
    command = message_to_command(message)
    if isinstance(command, Unreadable):
        return record
    return replace(
        record,
        saga_id=command.address.saga_id,
        key=command.key,
        participant=command.participant,
        name=command.command,
        attempt=command.attempt,
        send=command.send,
        issued_at=command.issued_at,
        deadline=command.deadline,
    )


def _reply(record: Published, message: Message) -> Published:
    reply = message_to_reply(message)
    if isinstance(reply, Unreadable):
        return record
    return replace(
        record,
        saga_id=reply.address.saga_id,
        key=reply.address.key,
        participant=reply.participant,
        attempt=reply.attempt,
        send=reply.send,
        outcome=reply.outcome,
        code=reply.code,
        effect=reply.effect,
        fenced=reply.fenced,
    )


def _event(record: Published, message: Message) -> Published:
    """A domain event: its id is the stream and the version of the event behind it."""
    saga, _, version = (message.message_id or "").partition("/")
    name = message.headers.get("ce-type", "")
    if len(saga) != _UUID_LENGTH or not version.isdecimal():
        return replace(record, name=name)
    try:
        saga_id = UUID(saga)
    except ValueError:
        return replace(record, name=name)
    return replace(record, saga_id=saga_id, version=int(version), name=name)
