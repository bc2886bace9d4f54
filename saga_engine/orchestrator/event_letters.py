"""Domain events that became dead letters: what such a letter says beside its reason, and the event read back from it.

Owns two headers. Neither buries nor takes anything.
"""

from __future__ import annotations

from typing import Final

from saga_engine.envelope import Message
from saga_engine.ports.dead_letters import DeadLetter
from saga_engine.ports.events import HeardEvent
from saga_engine.ports.transport import Delivery
from saga_engine.wire.dead_letters import dead_letter
from saga_engine.wire.headers import MESSAGE_ID, ORIGINAL_SUBJECT, REASON, TRUNCATED
from saga_engine.wire.reading import Unreadable

BURIED_BY: Final = "orchestrator"

LISTENING: Final = "saga-listening"
"""For whom the event was: the durable name under which it is heard."""
EVENT_ID: Final = "saga-event-id"
"""The message id that the event had, by which it is known again where it has no `ce-id`."""

_ADDED: Final = frozenset({LISTENING, EVENT_ID, REASON, ORIGINAL_SUBJECT})


def event_letter(event: HeardEvent, reason: str) -> Message:
    """The dead letter of an event."""
    message = event.delivery.message
    headers = {**message.headers, LISTENING: event.listening}
    if MESSAGE_ID in message.headers:
        headers[EVENT_ID] = message.headers[MESSAGE_ID]
    return dead_letter(
        BURIED_BY, Message(message.subject, headers, message.body, None), f"event for {event.listening}: {reason}"
    )


def is_event(letter: DeadLetter) -> bool:
    """Whether a letter holds an event. Only the orchestrator may bury one: a worker's letter is none."""
    return letter.participant == BURIED_BY and LISTENING in letter.headers


def event_of(letter: DeadLetter) -> HeardEvent | Unreadable:
    """The event that a letter holds, as it was heard. Unreadable for a letter that was cut."""
    headers = letter.headers
    if TRUNCATED in headers:
        return Unreadable(f"it was cut: of {headers[TRUNCATED]} bytes only the beginning was kept")
    kept = {name: value for name, value in headers.items() if name not in _ADDED}
    if EVENT_ID in headers:
        kept[MESSAGE_ID] = headers[EVENT_ID]
    message = Message(headers.get(ORIGINAL_SUBJECT, ""), kept, letter.body or b"", None)
    return HeardEvent(headers[LISTENING], letter.at, Delivery(message, 1, None))
