"""Messages that are given up too early: an acknowledgement says that what a message is about is on record.

Owns this one check, at the moment of the acknowledgement, when the store and the wire show what was on record then.
A lost message costs time only, so that hardly any other invariant would notice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import orjson

from saga_engine.core.events import Direction
from saga_engine.envelope import Address, Message, parse_key
from saga_engine.wire.headers import ATTEMPT, DEADLINE, KEY, SEND

_EVENTS: Final = "SELECT type, data FROM saga_events WHERE stream_id = ? ORDER BY version DESC"
_ENDS: Final = frozenset({"SagaCompleted", "SagaCompensated", "SagaClosed"})
_ANSWERED: Final = {
    Direction.FORWARD: frozenset({"StepSucceeded", "StepRejected", "StepFailed", "StepGivenUp"}),
    Direction.COMPENSATE: frozenset({"StepCompensated", "CompensationFailed", "OperatorActed"}),
}


class EarlyAcks:
    """`store` is the engine's database. `found`: what was acknowledged too early, the number of the invariant first."""

    def __init__(self, store: sqlite3.Connection) -> None:
        self._store = store
        self._genuine: dict[str, None] = {}
        self._answered: dict[tuple[str, ...], None] = {}
        self.found: list[str] = []

    def confirmed(self, message: Message) -> None:
        """The broker has confirmed a message to whoever published it: of replies, which send was answered."""
        if message.subject.startswith(("saga.reply.", "saga.dead.")):
            self._answered[_send(message)] = None
        if message.subject.startswith("saga.reply.") and message.message_id is not None:
            self._genuine[message.message_id] = None

    def acknowledged(self, messages: Sequence[Message], now: int) -> None:
        """A process is done with these. `now`: the store's time."""
        for message in messages:
            if message.subject.startswith("saga.command."):
                self._command(message, now)
            elif message.message_id in self._genuine:
                self._reply(message)

    def _command(self, message: Message, now: int) -> None:
        # One whose time is over is dropped where no inbox protects its handler: a newer send comes.
        if _send(message) not in self._answered and int(message.headers[DEADLINE]) > now:
            self.found.append(f"D1 {_told(message)} was acknowledged before its reply was confirmed")

    def _reply(self, message: Message) -> None:
        place = parse_key(message.headers[KEY])
        if place is not None and self._awaits(place, int(message.headers[ATTEMPT])):
            self.found.append(f"D1 a reply to {_told(message)} was acknowledged while its saga still waited for it")

    def _awaits(self, place: Address, attempt: int) -> bool:
        """Whether the stored stream waits for an answer to this attempt."""
        for kind, text in self._store.execute(_EVENTS, (place.saga_id.bytes,)):
            if kind in _ENDS:
                return False
            data = orjson.loads(text)
            if (data.get("step"), data.get("item")) != (place.step, place.item):
                continue
            if kind in _ANSWERED[place.direction]:
                return False
            if kind == "CommandIssued" and data["direction"] == place.direction:
                return bool(data["attempt"] == attempt)
        return False


def _send(message: Message) -> tuple[str, ...]:
    return tuple(message.headers.get(name, "") for name in (KEY, ATTEMPT, SEND))


def _told(message: Message) -> str:
    return f"{message.headers[KEY]} attempt {message.headers[ATTEMPT]} send {message.headers[SEND]}"
