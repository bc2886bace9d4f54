"""Dead letters: a message that nobody can work on, kept with the reason, and put back by an operator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from saga_engine.envelope import Message
from saga_engine.wire.headers import MESSAGE_ID, ORIGINAL_SUBJECT, REASON, RESENT, TRUNCATED
from saga_engine.wire.reading import Unreadable
from saga_engine.wire.sizes import MAX_BYTES, sent_size
from saga_engine.wire.subjects import dead_subject

_MOST_HEADER_BYTES: Final = 64 * 1024
"""Of those that a dead letter keeps of a message that is too large."""

_MOST_SHOWN: Final = 100
"""Characters of a subject that is refused: whoever wrote it chose how long it is."""

_SENDABLE: Final = re.compile(r"saga\.command\.[a-z0-9_]+\.[a-z0-9_]+|saga\.reply\.[0-9]{1,4}\.[a-z0-9_]+")


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
        return Unreadable(f"its original subject, {subject[:_MOST_SHOWN]!r}, is none of a command or a reply")
    message_id = f"{headers.get('ce-id', 'letter')}/dead/{sequence}"
    kept = {name: value for name, value in headers.items() if name not in (REASON, ORIGINAL_SUBJECT)}
    return Message(
        subject, {**kept, MESSAGE_ID: message_id, "ce-id": message_id, RESENT: str(sequence)}, body, message_id
    )


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
