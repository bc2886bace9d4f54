"""What went over the wire: published by a process or planted, and delivered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome


class Carried(StrEnum):
    """What a message carries."""

    COMMAND = "command"
    REPLY = "reply"
    EVENT = "event"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Published:
    """A message that the transport port was handed by `process`, or, with `forged`, that was planted on the wire.

    `name` is the command or the domain event; `version` the stream's event behind a domain event; `outcome`, `code`,
    `effect` and `fenced` are a reply's. `acknowledged` None: the process did not live to know. `at` is the sender's
    time, in microseconds of the store's clock. Where a message was unreadable, what it does not say is empty.
    """

    carried: Carried
    subject: str
    at: int
    order: int | None = None
    process: str = ""
    message_id: str | None = None
    saga_id: UUID | None = None
    key: str = ""
    participant: str = ""
    name: str = ""
    attempt: int = 0
    send: int = 0
    version: int = 0
    issued_at: int = 0
    deadline: int = 0
    outcome: Outcome | None = None
    code: str = ""
    effect: Effect = Effect.UNDONE
    fenced: bool = True
    body_hash: str = ""
    acknowledged: bool | None = None
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivery of a message to `process`; `deliveries` counts from 1."""

    carried: Carried
    message_id: str | None
    saga_id: UUID | None
    process: str
    deliveries: int
    at: int
    order: int | None = None
    forged: bool = False
