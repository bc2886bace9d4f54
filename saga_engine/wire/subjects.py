"""The JetStream streams, and the subjects of what they hold: written, and read again.

Knows no header, body or server.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

COMMANDS: Final = "SAGA_COMMANDS"
REPLIES: Final = "SAGA_REPLIES"
EVENTS: Final = "SAGA_EVENTS"
DEAD: Final = "SAGA_DEAD"

_SUBJECTS_AT_HAND: Final = 256
"""Of which it is known what they say: they are the same in very many messages."""


def command_subject(participant: str, command: str) -> str:
    return f"saga.command.{participant}.{command}"


def reply_subject(partition: int, participant: str) -> str:
    return f"saga.reply.{partition}.{participant}"


def event_subject(saga: str, event: str) -> str:
    return f"saga.event.{saga}.{event}"


def dead_subject(participant: str) -> str:
    return f"saga.dead.{participant}"


@lru_cache(maxsize=_SUBJECTS_AT_HAND)
def read_command_subject(subject: str) -> tuple[str, str] | None:
    """The participant and the command of a command's subject; None for any other."""
    match subject.split("."):
        case ["saga", "command", participant, command]:
            return participant, command
    return None


@lru_cache(maxsize=_SUBJECTS_AT_HAND)
def read_reply_subject(subject: str) -> tuple[int, str] | None:
    """The partition and the participant of a reply's subject; None for any other."""
    match subject.split("."):
        case ["saga", "reply", partition, participant] if partition.isdecimal():
            return int(partition), participant
    return None
