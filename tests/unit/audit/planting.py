"""Histories written by hand, for what the engine never does.

Owns how a stream, its rows, and what was sent and done for it are made up from a few words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Final, TypeAlias
from uuid import UUID

from saga_engine.audit.case import SagaHistory
from saga_engine.audit.check import History
from saga_engine.audit.grouping import group
from saga_engine.audit.history import Looked, Record, Rest, Section
from saga_engine.audit.records.messages import Carried, Published
from saga_engine.audit.records.participants import LedgerKind, LedgerRow
from saga_engine.audit.records.stored import DefinitionRow, KeyRow, StoredEvent, StreamRow
from saga_engine.codec import encode_event
from saga_engine.core import events as e
from saga_engine.core.events import Direction, Event
from saga_engine.core.inputs import Outcome
from saga_engine.definition.canonical import definition_bytes, definition_hash
from saga_engine.definition.inputs import input_hash
from saga_engine.envelope import Address, StreamHead, partition_of
from saga_engine.testing.sources import load
from tests.unit.core.sagas import BOOK

SAGA: Final = UUID("018f0000-0000-7000-8000-000000000001")
SECOND: Final = 1_000_000
EVERYTHING: Final = frozenset(Section) - {Section.REST, Section.NOW, Section.INPUTS}
STORE: Final = frozenset({Section.STREAMS, Section.BATCHES, Section.SNAPSHOTS, Section.DEFINITIONS, Section.KEYS})

FORWARD, COMPENSATE = Direction.FORWARD, Direction.COMPENSATE
WIRED: Final = {"flight": ("air", "book"), "hotel": ("inn", "book"), "car": ("rent", "book")}


_loaded = cache(load)


def begun(source: str = BOOK) -> e.SagaStarted:
    definition = _loaded(source)
    return e.SagaStarted(0, definition.saga, definition.version, definition_hash(definition), "k", 1, {})


def issued(step: str, attempt: int = 1, item: int | None = None) -> e.CommandIssued:
    return e.CommandIssued(0, step, FORWARD, attempt, item, {} if attempt == 1 else None)


def undo(step: str, attempt: int = 1, item: int | None = None) -> e.CommandIssued:
    return e.CommandIssued(0, step, COMPENSATE, attempt, item)


def ok(step: str) -> e.StepSucceeded:
    return e.StepSucceeded(0, step, None, {})


def rejected(step: str) -> e.StepRejected:
    return e.StepRejected(0, step, "no", "no")


def failed(step: str, attempt: int = 1, retry_at: int | None = None, at: int = 0) -> e.StepFailed:
    return e.StepFailed(at, step, attempt, "error", "", retry_at)


def undo_failed(step: str, attempt: int = 1, retry_at: int | None = None) -> e.CompensationFailed:
    return e.CompensationFailed(0, step, attempt, "error", "", retry_at)


def gave_up(step: str) -> e.StepGivenUp:
    return e.StepGivenUp(0, step, "gave_up", "")


def undone(step: str) -> e.StepCompensated:
    return e.StepCompensated(0, step, e.Effect.UNDONE)


def back(step: str | None = None, code: str = "no") -> e.CompensationBegan:
    return e.CompensationBegan(0, step, code, "")


DONE: Final = e.SagaCompleted(0)
TURNED: Final = e.SagaCompensated(0)
CANCEL: Final = e.CancelRequested(0, "eve", "why")

COMPLETED: Final = (issued("flight"), ok("flight"), issued("hotel"), ok("hotel"), issued("car"), ok("car"), DONE)
"""What becomes of `BOOK` when all goes well, after its start."""

COMPENSATED: Final = (
    *(issued("flight"), ok("flight"), issued("hotel"), ok("hotel"), issued("car"), rejected("car"), back("car")),
    *(undo("hotel"), undone("hotel"), undo("flight"), undone("flight"), TURNED),
)
"""What becomes of `BOOK` when there is no car."""


def stream(events: Sequence[Event], source: str = BOOK) -> list[StoredEvent]:
    """These events behind a start, a second apart where they bear no time, each in a commit of its own."""
    stored: list[StoredEvent] = []
    for version, event in enumerate([begun(source), *events], start=1):
        record = encode_event(replace(event, at=event.at or version * SECOND), version)
        stored.append(
            StoredEvent(
                SAGA, version, record.type, record.data.decode(), record.at, UUID(int=version), order=10 * version
            )
        )
    return stored


def head(stored: Sequence[StoredEvent], source: str = BOOK) -> StreamHead:
    """The row that goes with these events."""
    definition = _loaded(source)
    ends = {"SagaCompleted": "completed", "SagaCompensated": "compensated", "SagaClosed": "closed"}
    last = stored[-1]
    ended = last.type in ends
    began = any(event.type == "CompensationBegan" for event in stored)
    return StreamHead(
        stream_id=SAGA,
        saga=definition.saga,
        key="k",
        generation=1,
        definition_version=definition.version,
        definition_hash=definition_hash(definition),
        partition=partition_of(SAGA),
        version=len(stored),
        published=len(stored) if ended else 0,
        status=ends.get(last.type, "compensating" if began else "running"),
        next_due=None if ended else last.at + SECOND,
        started_at=stored[0].at,
        ended_at=last.at if ended else None,
    )


def defined(source: str = BOOK) -> DefinitionRow:
    definition = _loaded(source)
    return DefinitionRow(definition_hash(definition), definition.saga, definition_bytes(definition).decode())


KEY: Final = KeyRow("trip", "k", 1, SAGA, input_hash({}))


def rows(events: Sequence[Event], source: str = BOOK, **changed: object) -> list[Record]:
    """A stream with its row (`changed` in it), key and definition."""
    stored = stream(events, source)
    row = replace(head(stored, source), **changed)  # type: ignore[arg-type] # the names are a row's fields
    return [*stored, StreamRow(row), KEY, defined(source)]


def key(step: str, direction: Direction = FORWARD, item: int | None = None) -> str:
    return Address(SAGA, step, item, direction).key


def sent(step: str, order: int, direction: Direction = FORWARD, attempt: int = 1, **more: object) -> Published:
    """A command of `BOOK` on the wire, acknowledged."""
    participant, name = WIRED[step]
    name = name if direction is FORWARD else "cancel"
    message = Published(
        Carried.COMMAND,
        f"saga.command.{participant}.{name}",
        order * SECOND // 10,
        order,
        saga_id=SAGA,
        key=key(step, direction),
        participant=participant,
        name=name,
        attempt=attempt,
        send=1,
        body_hash=f"{step} {direction}",
        acknowledged=True,
    )
    return replace(message, **more)  # type: ignore[arg-type] # the names are a message's fields


def answered(step: str, outcome: Outcome, order: int, direction: Direction = FORWARD, **more: object) -> Published:
    """A reply to a command of `BOOK` on the wire."""
    participant, _ = WIRED[step]
    reply = Published(
        Carried.REPLY,
        f"saga.reply.1.{participant}",
        order * SECOND // 10,
        order,
        saga_id=SAGA,
        key=key(step, direction),
        participant=participant,
        attempt=1,
        send=1,
        outcome=outcome,
    )
    return replace(reply, **more)  # type: ignore[arg-type] # the names are a message's fields


def did(step: str, order: int, kind: LedgerKind = LedgerKind.EFFECT, amount: int = 0) -> LedgerRow:
    """A row of a ledger of `BOOK`."""
    direction = FORWARD if kind in (LedgerKind.EFFECT, LedgerKind.TOMBSTONE_REFUSED) else COMPENSATE
    participant, _ = WIRED[step]
    return LedgerRow(participant, key(step, direction), SAGA, step, None, direction, kind, order, order, amount)


def conversation(events: Sequence[Event]) -> list[Record]:
    """All that was said and done for these events of `BOOK`: each command, its reply and its effect, in order."""
    said: list[Record] = []
    for version, event in enumerate(events, start=2):
        match event:
            case e.CommandIssued():
                said.append(sent(event.step, 10 * version + 1, event.direction, event.attempt))
            case e.StepSucceeded():
                said += [did(event.step, 10 * version - 3), answered(event.step, Outcome.SUCCEEDED, 10 * version - 2)]
            case e.StepRejected():
                said.append(answered(event.step, Outcome.REJECTED, 10 * version - 2))
            case e.StepFailed():
                said.append(answered(event.step, Outcome.FAILED, 10 * version - 2, attempt=event.attempt))
            case e.StepCompensated():
                said.append(did(event.step, 10 * version - 3, LedgerKind.COMPENSATION))
                said.append(answered(event.step, Outcome.SUCCEEDED, 10 * version - 2, COMPENSATE))
            case _:
                pass
    return said


def whole(events: Sequence[Event]) -> list[Record]:
    """A stream of `BOOK` with all that was said and done for it."""
    return [*rows(events), *conversation(events)]


def history(records: Iterable[Record], sections: Iterable[Section] = EVERYTHING) -> History:
    return group(records, sections)


def without(records: Iterable[Record], *gone: Record) -> list[Record]:
    return [record for record in records if record not in gone]


def slice_of(records: Iterable[Record]) -> SagaHistory:
    """The slice of the only saga."""
    (saga,) = group(records).sagas
    return saga


Plant: TypeAlias = Callable[[], History]
Planted: TypeAlias = tuple[str, str, Plant]
"""The number of an invariant, what breaks it, and a history in which that has happened."""


def events(found: Iterable[Event], source: str = BOOK) -> History:
    """A history of stored rows alone."""
    return history(rows(list(found), source), STORE)


def changed(found: Iterable[Event], change: Callable[[list[StoredEvent]], None]) -> History:
    """One whose stored events somebody has changed, without changing the row."""
    good = list(found)
    stored = stream(good)
    row = StreamRow(head(stored))
    change(stored)
    return history([*stored, row, KEY, defined()], STORE)


def told(records: Iterable[Record], *sections: Section) -> History:
    """One of everything that was said and done, and of these sections too."""
    return history(records, EVERYTHING | set(sections))


def cut(*versions: int) -> Callable[[list[StoredEvent]], None]:
    def change(stored: list[StoredEvent]) -> None:
        stored[:] = [event for event in stored if event.version not in versions]

    return change


def swap(one: int, other: int) -> Callable[[list[StoredEvent]], None]:
    def change(stored: list[StoredEvent]) -> None:
        first, second = stored[one - 1], stored[other - 1]
        stored[one - 1] = replace(second, version=one)
        stored[other - 1] = replace(first, version=other)

    return change


def put(version: int, **fields: str | int | UUID | None) -> Callable[[list[StoredEvent]], None]:
    def change(stored: list[StoredEvent]) -> None:
        stored[version - 1] = replace(stored[version - 1], **fields)  # type: ignore[arg-type] # an event's fields

    return change


def at_rest(found: Iterable[Event], *more: Record, **row: object) -> History:
    return told([*rows(list(found), BOOK, **row), *more, Rest(10**12)], Section.REST)


def looked_at(found: Iterable[Event], **row: object) -> History:
    return history([*rows(list(found), BOOK, **row), Looked(10**12)], STORE | {Section.NOW})
