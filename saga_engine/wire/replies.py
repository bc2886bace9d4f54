"""Replies as messages: how an answer is written and read, and what stands for one that nobody can read."""

from __future__ import annotations

from typing import Final

import orjson

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.envelope import Message, Reply, parse_key
from saga_engine.wire.headers import ATTEMPT, EFFECT, FENCE, KEY, MESSAGE_ID, OUTCOME, SEND, TOKEN, TRACEPARENT
from saga_engine.wire.reading import Unreadable, integers, json_object
from saga_engine.wire.subjects import read_reply_subject, reply_subject

POISON: Final = "poison"
"""The code that a saga sees of a message that nobody can work on."""

MOST_CODE: Final = 100
MOST_WORDS: Final = 1_000
"""Characters of a reply's code and message that are kept: they stand in the stream for ever."""

_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}

_SUCCEEDED: Final = Outcome.SUCCEEDED
_NO_EFFECT: Final = Effect.NONE
_UNDONE: Final = Effect.UNDONE
"""Named once: Python 3.11 looks for a member of an enumeration six times as long as for a name."""


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
    answers = read_reply_subject(message.subject)
    if answers is None:
        return Unreadable(f"not a reply subject: {message.subject}")
    headers = message.headers
    address = parse_key(headers.get(KEY, ""))
    if address is None:
        return Unreadable(f"header {KEY} is missing or is no idempotency key")
    outcome = _OUTCOMES.get(headers.get(OUTCOME, ""))
    if outcome is None:
        return Unreadable(f"header {OUTCOME} must be one of {', '.join(Outcome)}")
    numbers = integers(headers, (ATTEMPT, SEND))
    if isinstance(numbers, Unreadable):
        return numbers
    body = json_object(message.body)
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
