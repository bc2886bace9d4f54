"""Commands and replies as messages: subjects, headers and JSON bodies. `docs/protocol.md` is its specification.

The only place that knows the wire format. Pure: the same command always gives the same message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import orjson

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.definition.values import MAX_DEPTH, nests_deeper
from saga_engine.envelope import Command, DomainEvent, Message, Reply, parse_key

COMMANDS: Final = "SAGA_COMMANDS"
REPLIES: Final = "SAGA_REPLIES"
EVENTS: Final = "SAGA_EVENTS"
DEAD: Final = "SAGA_DEAD"

MESSAGE_ID: Final = "Nats-Msg-Id"
KEY: Final = "saga-key"
SAGA: Final = "saga-name"
ATTEMPT: Final = "saga-attempt"
SEND: Final = "saga-send"
ISSUED_AT: Final = "saga-issued-at"
DEADLINE: Final = "saga-deadline"
PARTITION: Final = "saga-partition"
MUST_SUCCEED: Final = "saga-must-succeed"
UNDOES: Final = "saga-undoes"
UNDOES_COMMAND: Final = "saga-undoes-command"
TOKEN: Final = "saga-token"
OUTCOME: Final = "saga-outcome"
FENCE: Final = "saga-fence"
EFFECT: Final = "saga-effect"
REASON: Final = "saga-reason"
ORIGINAL_SUBJECT: Final = "saga-original-subject"
TRUNCATED: Final = "saga-truncated"
RESENT: Final = "saga-resent"
"""On a dead letter that an operator has put back on its subject: which letter it was."""

TRACEPARENT: Final = "traceparent"
EVENT_TRACEPARENT: Final = "ce-traceparent"
"""The same as an attribute of the event (CloudEvents, Distributed Tracing extension), which outlives its transport."""

MAX_BYTES: Final = 900 * 1024
"""Of a message that must get through whatever is in it: a server takes 1 MiB by default, headers included."""

POISON: Final = "poison"
"""The code that a saga sees of a message that nobody can work on."""

MOST_CODE: Final = 100
MOST_WORDS: Final = 1_000
"""Characters of a reply's code and message that are kept: they stand in the stream for ever."""

_MOST_HEADER_BYTES: Final = 64 * 1024
"""Of those that a dead letter keeps of a message that is too large."""

_DEEPEST_BODY: Final = MAX_DEPTH + 1
"""Levels of a body: the object that it is, and the payload or result inside."""

_SENDABLE: Final = re.compile(r"saga\.command\.[a-z0-9_]+\.[a-z0-9_]+|saga\.reply\.[0-9]{1,4}\.[a-z0-9_]+")

_SUBJECTS_AT_HAND: Final = 256
"""Of which it is known what they say: they are the same in very many messages."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}

_SUCCEEDED: Final = Outcome.SUCCEEDED
_COMPENSATE: Final = Direction.COMPENSATE
_NO_EFFECT: Final = Effect.NONE
_UNDONE: Final = Effect.UNDONE
"""Named once: Python 3.11 looks for a member of an enumeration six times as long as for a name."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is not what its subject promises, and why. It goes to the dead letters."""

    reason: str


def command_subject(participant: str, command: str) -> str:
    return f"saga.command.{participant}.{command}"


def reply_subject(partition: int, participant: str) -> str:
    return f"saga.reply.{partition}.{participant}"


def event_subject(saga: str, event: str) -> str:
    return f"saga.event.{saga}.{event}"


def dead_subject(participant: str) -> str:
    return f"saga.dead.{participant}"


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
    asked = _asked(message.subject)
    if asked is None:
        return Unreadable(f"not a command subject: {message.subject}")
    headers = message.headers
    address = parse_key(headers.get(KEY, ""))
    if address is None:
        return Unreadable(f"header {KEY} is missing or is no idempotency key")
    numbers = _integers(headers, (ATTEMPT, SEND, ISSUED_AT, DEADLINE, PARTITION))
    if isinstance(numbers, Unreadable):
        return numbers
    participant, command = asked
    attempt, send, issued_at, deadline, partition = numbers
    body = _body(message.body)
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


def reply_to_message(reply: Reply) -> Message:
    """The message of a reply. A stored reply that is sent again for a later send gets a new message id."""
    key = reply.address.key
    message_id = reply.message_id
    outcome = str(reply.outcome)
    headers = {
        MESSAGE_ID: message_id,
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": f"participant/{reply.participant}",
        "ce-type": f"saga.reply.{outcome}",
        KEY: key,
        ATTEMPT: str(reply.attempt),
        SEND: str(reply.send),
        OUTCOME: outcome,
        TOKEN: reply.token,
    }
    if not reply.fenced:
        headers[FENCE] = "none"
    if reply.effect is _NO_EFFECT:
        headers[EFFECT] = "none"
    if reply.traceparent is not None:
        headers[TRACEPARENT] = reply.traceparent
    body: Json
    body = {"result": reply.result} if reply.outcome is _SUCCEEDED else {"code": reply.code, "message": reply.message}
    return Message(reply_subject(reply.partition, reply.participant), headers, orjson.dumps(body), message_id)


def message_to_reply(message: Message) -> Reply | Unreadable:
    """Read a reply; partition and participant are taken from the subject, never from what the sender wrote inside."""
    answers = _answers(message.subject)
    if answers is None:
        return Unreadable(f"not a reply subject: {message.subject}")
    headers = message.headers
    address = parse_key(headers.get(KEY, ""))
    if address is None:
        return Unreadable(f"header {KEY} is missing or is no idempotency key")
    outcome = _OUTCOMES.get(headers.get(OUTCOME, ""))
    if outcome is None:
        return Unreadable(f"header {OUTCOME} must be one of {', '.join(Outcome)}")
    numbers = _integers(headers, (ATTEMPT, SEND))
    if isinstance(numbers, Unreadable):
        return numbers
    body = _body(message.body)
    if isinstance(body, Unreadable):
        return body
    code, text = body.get("code", ""), body.get("message", "")
    if not isinstance(code, str) or not isinstance(text, str):
        return Unreadable("code and message must be strings")
    partition, participant = answers
    attempt, send = numbers
    # By position, as a command.
    return Reply(
        address,
        participant,
        partition,
        attempt,
        send,
        outcome,
        body.get("result"),
        code,
        text,
        _NO_EFFECT if headers.get(EFFECT) == "none" else _UNDONE,
        headers.get(FENCE) != "none",
        headers.get(TOKEN, ""),
        headers.get(TRACEPARENT),
    )


def failed_instead(message: Message, code: str, reason: str) -> Reply | Unreadable:
    """What a reply that is none is to its saga: the attempt that it names has failed.

    Unreadable when not even its subject and headers say whose reply it is.
    """
    body = orjson.dumps({"code": code, "message": reason})
    return message_to_reply(Message(message.subject, {**message.headers, OUTCOME: Outcome.FAILED.value}, body, None))


def event_to_message(event: DomainEvent) -> Message:
    """A published event as a CloudEvent in binary mode. Its id, stream and version, is the same at every repetition.

    Data beyond 900 KiB is replaced by a note: no broker would take it, and what the saga publishes next would wait.
    """
    event_id = f"{event.saga_id}/{event.version}"
    headers = {
        MESSAGE_ID: event_id,
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": f"saga/{event.saga}",
        "ce-type": event.name,
        "ce-subject": quote(event.key, safe=" -._~"),
        "ce-time": rfc3339(event.at),
        "ce-datacontenttype": "application/json",
    }
    if event.traceparent is not None:
        headers[TRACEPARENT] = headers[EVENT_TRACEPARENT] = event.traceparent
    body = orjson.dumps(event.data)
    if len(body) > MAX_BYTES:
        body = orjson.dumps({"error": f"the data has {len(body)} bytes; at most {MAX_BYTES} are published"})
    return Message(event.subject or event_subject(event.saga, event.name), headers, body, event_id)


def rfc3339(at: int) -> str:
    """A time in microseconds since 1970 as RFC 3339 in UTC."""
    return (EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def dead_letter(participant: str, original: Message, reason: str) -> Message:
    """The original message with its subject and the reason, for inspection and for sending again.

    One beyond 900 KiB is cut to that, and says in `saga-truncated` how many bytes it had, with its headers: the letter
    must find room beside the headers it adds.
    """
    added = {REASON: reason, ORIGINAL_SUBJECT: original.subject}
    headers = {name: value for name, value in original.headers.items() if name != MESSAGE_ID} | added
    body = original.body
    if sent_size(headers, body) > MAX_BYTES:
        added[TRUNCATED] = str(sent_size(original.headers, body))
        headers = _first_headers(headers) | added
        body = body[: MAX_BYTES - sent_size(headers, b"")]
    return Message(dead_subject(participant), headers, body, None)


def original_of(headers: Mapping[str, str], body: bytes, sequence: int) -> Message | Unreadable:
    """The message that a dead letter holds, to be put back on its subject under a new message id.

    The id is the same whenever this letter is put back, so that doing it twice in a row sends it once. Unreadable for a
    letter that was cut, and for a subject that is none of commands or replies: who may write letters may not choose
    what an operator sends where.
    """
    if TRUNCATED in headers:
        return Unreadable(f"it was cut: of {headers[TRUNCATED]} bytes only the beginning was kept")
    subject = headers.get(ORIGINAL_SUBJECT, "")
    if _SENDABLE.fullmatch(subject) is None:
        return Unreadable(f"its original subject, {subject[:MOST_CODE]!r}, is none of a command or a reply")
    message_id = f"{headers.get('ce-id', 'letter')}/dead/{sequence}"
    kept = {name: value for name, value in headers.items() if name not in (REASON, ORIGINAL_SUBJECT)}
    return Message(
        subject, {**kept, MESSAGE_ID: message_id, "ce-id": message_id, RESENT: str(sequence)}, body, message_id
    )


def sent_size(headers: Mapping[str, str], body: bytes) -> int:
    """How many bytes a server counts against its limit: the body and, when there are any, the encoded headers."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return len(body) + (len(f"NATS/1.0\r\n{lines}\r\n".encode()) if lines else 0)


def _first_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that fit into 64 KiB, in their order; one that is too long is left out."""
    kept: dict[str, str] = {}
    room = _MOST_HEADER_BYTES
    for name, value in headers.items():
        size = len(f"{name}: {value}\r\n".encode())
        if size <= room:
            kept[name] = value
            room -= size
    return kept


@lru_cache(maxsize=_SUBJECTS_AT_HAND)
def _asked(subject: str) -> tuple[str, str] | None:
    """The participant and the command of a command's subject."""
    match subject.split("."):
        case ["saga", "command", participant, command]:
            return participant, command
    return None


@lru_cache(maxsize=_SUBJECTS_AT_HAND)
def _answers(subject: str) -> tuple[int, str] | None:
    """The partition and the participant of a reply's subject."""
    match subject.split("."):
        case ["saga", "reply", partition, participant] if partition.isdecimal():
            return int(partition), participant
    return None


def _integers(headers: Mapping[str, str], names: tuple[str, ...]) -> list[int] | Unreadable:
    values: list[int] = []
    for name in names:
        text = headers.get(name, "")
        if not (text.isascii() and text.isdecimal() and len(text) <= 18):
            return Unreadable(f"header {name} must be an integer of at most 18 digits and not negative")
        values.append(int(text))
    return values


def _body(body: bytes) -> dict[str, Json] | Unreadable:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Unreadable(f"the body is not JSON: {error}")
    if not isinstance(value, dict):
        return Unreadable("the body must be a JSON object")
    # orjson reads deeper than it writes. Counting is quick, and enough for nearly every body.
    if body.count(b"{") + body.count(b"[") > _DEEPEST_BODY and nests_deeper(value, _DEEPEST_BODY):
        return Unreadable(f"the body is nested deeper than {_DEEPEST_BODY} levels")
    return value
