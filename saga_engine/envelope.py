"""What surrounds facts and messages: recorded events, stream rows, commands, replies and the messages that carry them.

Owns shapes and identities (idempotency key, message id, partition). Knows no storage, subject or header.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import InitVar, field
from functools import lru_cache
from typing import Final, TypeAlias
from uuid import UUID

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome
from saga_engine.definition.model import Json
from saga_engine.immutable import dataclass

PARTITIONS = 16
"""How many shares the sagas are dealt into. Fixed when a store is created: it stands in every stream's row."""


_MOST_DIGITS: Final = 9
"""Of the number of an item. A longer one is no item's: it may have been written to keep us busy reading it."""

_UUID_LENGTH: Final = 36
SAGAS_AT_HAND: Final = 16_384
"""Sagas whose ids are kept as text and as value, the last ones that were written or read."""

_SLOTS_AT_HAND: Final = 4_096
_SHORT_SLOT: Final = 256
"""Slots are the same for all sagas of a definition. Those of more characters are not kept: anybody may write them."""

_DIRECTIONS: Final = {direction.value: direction for direction in Direction}


def partition_of(stream_id: UUID) -> int:
    """The partition of a saga, by CRC-32 of the sixteen bytes of its id (any language has it)."""
    return zlib.crc32(stream_id.bytes) % PARTITIONS


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One stored event: its type and canonical JSON, without what the stream, version and time columns say."""

    version: int
    type: str
    data: bytes
    at: int


@dataclass(frozen=True, slots=True)
class StreamHead:
    """The row of one saga. `published`: everything that versions up to it send out is acknowledged by the broker.

    `next_due` is the earliest time at which somebody must look at the saga; None when it waits for nothing timed.
    """

    stream_id: UUID
    saga: str
    key: str
    generation: int
    definition_version: int
    definition_hash: str
    partition: int
    version: int
    published: int
    status: str
    next_due: int | None
    started_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """One command slot of a saga: a step, for `for_each` one of its items, and the direction."""

    saga_id: UUID
    step: str
    item: int | None
    direction: Direction
    key: str = field(init=False, compare=False, repr=False)
    """The idempotency key `<saga>/<step>[/<i>]/<forward|compensate>`: the same for ever."""
    written: InitVar[str] = ""
    """The key, when it has just been read; else it is made, once: token, headers and message id of every send ask."""

    def __post_init__(self, written: str) -> None:
        key = written or f"{id_text(self.saga_id)}/{_slot_text(self.step, self.item, self.direction)}"
        object.__setattr__(self, "key", key)

    @property
    def undoes(self) -> str:
        """The idempotency key of the forward command at this place."""
        return Address(self.saga_id, self.step, self.item, Direction.FORWARD).key


def parse_key(key: str) -> Address | None:
    """The address that an idempotency key names, or None when the text is no idempotency key."""
    saga, _, rest = key.partition("/")
    known = _saga(saga) if len(saga) == _UUID_LENGTH else None
    slot = _slot(rest) if len(rest) <= _SHORT_SLOT else _read_slot(rest)
    if known is None or slot is None:
        return None
    saga_id, saga = known
    step, item, direction, place = slot
    return Address(saga_id, step, item, direction, f"{saga}/{place}")


_Slot: TypeAlias = tuple[str, int | None, Direction, str]
"""What a key says besides its saga: step, item and direction, and these as the text that we write."""


def _slot_text(step: str, item: int | None, direction: Direction) -> str:
    return f"{step}/{direction!s}" if item is None else f"{step}/{item}/{direction!s}"


def _read_slot(text: str) -> _Slot | None:
    step, _, way = text.rpartition("/")
    direction = _DIRECTIONS.get(way)
    if direction is None or not step:
        return None
    place, _, last = step.rpartition("/")
    if not (last.isascii() and last.isdecimal() and len(last) <= _MOST_DIGITS):
        return step, None, direction, text
    return (place, int(last), direction, _slot_text(place, int(last), direction)) if place else None


_slot: Final = lru_cache(maxsize=_SLOTS_AT_HAND)(_read_slot)


@lru_cache(maxsize=SAGAS_AT_HAND)
def id_text(saga_id: UUID) -> str:
    """The text of a saga's id, which costs more to write than all else of a key or a row."""
    return str(saga_id)


@lru_cache(maxsize=SAGAS_AT_HAND)
def _saga(text: str) -> tuple[UUID, str] | None:
    """The id of a saga, and its text as we write it.

    The same objects for the replies of one saga, so that what is kept by id is found by identity: reading a UUID costs
    a third of reading a reply, and comparing two costs more than all else of a look-up.
    """
    try:
        saga_id = UUID(text)
    except ValueError:
        return None
    written = str(saga_id)
    return saga_id, text if text == written else written


@dataclass(frozen=True, slots=True)
class Command:
    """What a participant is asked, and everything it must return or obey.

    `issued_at`: when the first attempt was issued (the horizon counts from there). `deadline`: until when an answer to
    this send is waited for; a worker without an inbox may not run it later. `must_succeed`: a rejection is not an
    answer here (a compensation, or past the point of no return). `undone_result`: for a compensation, the result of the
    step it undoes, or None; `undone_command`: the `participant.command` that did it. `resent`: an operator has put it
    back from the dead letters.
    """

    address: Address
    saga: str
    participant: str
    command: str
    partition: int
    attempt: int
    send: int
    payload: Json
    issued_at: int
    deadline: int
    must_succeed: bool
    undone_result: Json
    token: str
    traceparent: str | None
    undone_command: str | None = None
    resent: bool = False

    @property
    def key(self) -> str:
        return self.address.key

    @property
    def message_id(self) -> str:
        """What JetStream de-duplicates on: new for every send."""
        return f"{self.address.key}/{self.attempt}/{self.send}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A participant's answer to one send of a command. `participant` and `partition` are taken from the subject.

    `fenced`: the inbox row was written in the transaction of the effect. `effect`: for a compensation that succeeded,
    whether there was anything to undo.
    """

    address: Address
    participant: str
    partition: int
    attempt: int
    send: int
    outcome: Outcome
    result: Json
    code: str
    message: str
    effect: Effect
    fenced: bool
    token: str
    traceparent: str | None

    @property
    def message_id(self) -> str:
        return f"{self.address.key}/{self.attempt}/{self.send}/reply"


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """An event for the world, of the stream's event at `version`. `subject` None: the engine's own for it."""

    saga_id: UUID
    saga: str
    key: str
    version: int
    name: str
    subject: str | None
    data: Json
    at: int
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """What a transport carries. `message_id` is what the broker may drop a repetition by; None: no de-duplication."""

    subject: str
    headers: Mapping[str, str]
    body: bytes
    message_id: str | None
