"""Planted bad histories: what the engine never does, and each invariant that such a thing breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final
from uuid import UUID

import pytest

from saga_engine.audit.case import Case
from saga_engine.audit.check import COMMON_INVARIANTS, SAGA_INVARIANTS, History, check, numbers
from saga_engine.audit.history import (
    Balance,
    Carried,
    ClientAnswer,
    ClientAnswered,
    ClientCalled,
    ClientVerb,
    InboxRow,
    InputDecided,
    KeyRow,
    LedgerKind,
    LockHeld,
    Looked,
    Record,
    Remainder,
    Rest,
    Section,
    SnapshotRow,
    StoredEvent,
    StreamRow,
)
from saga_engine.audit.inputs import encode_input
from saga_engine.codec import encode_state
from saga_engine.core import events as e
from saga_engine.core.events import Effect, Event, Verb
from saga_engine.core.inputs import Due, Outcome, Start
from saga_engine.core.state import SagaState
from saga_engine.definition.canonical import definition_hash
from saga_engine.testing.sources import load
from tests.unit.audit.planting import (
    CANCEL,
    COMPENSATE,
    COMPENSATED,
    COMPLETED,
    DONE,
    EVERYTHING,
    KEY,
    SAGA,
    SECOND,
    STORE,
    TURNED,
    answered,
    back,
    conversation,
    defined,
    did,
    failed,
    gave_up,
    head,
    history,
    issued,
    key,
    ok,
    rejected,
    rows,
    sent,
    stream,
    undo,
    undo_failed,
    undone,
    whole,
    without,
)
from tests.unit.core.sagas import BOOK, PIVOT, saga

MOMENTS: Final = saga(
    """
    step: nap, sleep: 1h
    step: ask, wait: {event: Answered, timeout: 1h, on_timeout: continue}
    """
)
LIMITED: Final = saga(
    """
    step: one, call: p.one, retry: {maximum_attempts: 2, initial_interval: 1s, jitter: none}, compensate: none
    """
)
EMITTING: Final = saga("step: flight, call: air.book, emit: Booked, compensate: none")
COUNTED: Final = saga(
    "step: pack, call: p.pack, compensate: none, for_each: {in: '${{ [] }}', as: item}", "output: {n: 1}"
)
_counted: Final = (e.ItemsFixed(0, "pack", ()), ok("pack"))
_turned: Final = (issued("flight"), ok("flight"), CANCEL, back(None, "cancelled"))
OTHER: Final = UUID("018f0000-0000-7000-8000-000000000002")

Plant = Callable[[], History]


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


def snapshot(data: bytes, version: int = 3) -> History:
    return history([*rows(COMPLETED), SnapshotRow(SAGA, version, data.decode())], STORE)


def started(*answers: tuple[ClientAnswer, UUID, str]) -> History:
    """Starts of the same key: what each was told, about which saga, for which input."""
    records: list[Record] = list(rows(COMPLETED))
    for i, (answer, saga_id, digest) in enumerate(answers):
        records.append(ClientCalled(str(i), ClientVerb.START, i, saga="trip", key="k", input_hash=digest))
        records.append(ClientAnswered(str(i), answer, i, saga_id=saga_id))
    return told(records)


def decided(*inputs: InputDecided) -> History:
    return history([*rows([issued("flight")]), *inputs], STORE | {Section.INPUTS})


def at_rest(found: Iterable[Event], *more: Record, **row: object) -> History:
    return told([*rows(list(found), BOOK, **row), *more, Rest(10**12)], Section.REST)


def looked_at(found: Iterable[Event], **row: object) -> History:
    return history([*rows(list(found), BOOK, **row), Looked(10**12)], STORE | {Section.NOW})


BLOCKED_EARLY: Final = (
    *(issued("flight"), ok("flight"), issued("hotel"), rejected("hotel"), back("hotel"), undo("flight")),
    *(undo_failed("flight"), e.StepBlocked(0, "flight", "error", "")),
)
RETRIED_TOO_OFTEN: Final = (
    *(issued("one"), failed("one", 1, 4 * SECOND), issued("one", 2), failed("one", 2, 7 * SECOND)),
    issued("one", 3),
)
UNKNOWN_LEFT: Final = (issued("flight"), CANCEL, back(None, "cancelled"), gave_up("flight"), TURNED)
PAST: Final = (
    *(issued("reserve"), ok("reserve"), issued("charge"), ok("charge"), issued("ship"), back(None, "cancelled")),
    undo("reserve"),
)


def _without_car() -> list[Record]:
    """All of a saga whose last command is on no wire, though its row says that it was published."""
    good = COMPLETED[:5]
    return without([*rows(good, published=6), *conversation(good)], sent("car", 61))


def _undone_early() -> list[Record]:
    late, early = (did("flight", order, LedgerKind.COMPENSATION) for order in (117, 90))
    return [*without(conversation(COMPENSATED), late), early]


def _kept(step: str) -> InboxRow:
    return InboxRow("p", key(step), SAGA, "succeeded", Effect.UNDONE, "", 1)


def _forged(**fields: object) -> list[Record]:
    genuine = answered("car", Outcome.SUCCEEDED, 68)
    return [*without(whole(COMPLETED), genuine), replace(genuine, **fields)]  # type: ignore[arg-type] # its fields


NAPPED: Final = (e.TimerSet(0, "nap", 4 * SECOND), e.TimerFired(5 * SECOND, "nap"))

PLANTED: Final[list[tuple[str, str, Plant]]] = [
    ("A1", "a deleted event", lambda: changed(COMPLETED, cut(3))),
    ("A1", "a deleted tail", lambda: changed(COMPLETED, cut(7, 8))),
    ("A1", "a row that somebody put back", lambda: history(rows(COMPLETED, version=5), STORE)),
    ("A1", "an event that is there twice", lambda: changed(COMPLETED, lambda found: found.append(found[2]))),
    ("A1", "events without a row", lambda: history([*stream(COMPLETED), KEY, defined()], STORE)),
    ("A1", "a row without events", lambda: history([StreamRow(head(stream(COMPLETED))), KEY, defined()], STORE)),
    ("A3", "events in another order", lambda: changed(COMPLETED, swap(2, 3))),
    ("A3", "something after the end", lambda: events([*COMPLETED, issued("flight", 2)])),
    (
        "A3",
        "a second start",
        lambda: changed(COMPLETED, lambda found: found.__setitem__(4, replace(found[0], version=5))),
    ),
    ("A3", "an end before its time", lambda: events([issued("flight"), DONE])),
    ("A3", "an event that is no JSON", lambda: changed(COMPLETED, put(3, data="{"))),
    ("A3", "an event of an unknown type", lambda: changed(COMPLETED, put(3, type="Rumour"))),
    ("A3", "a step that the definition does not have", lambda: events([issued("boat")])),
    ("A3", "an answer to nothing", lambda: events([issued("flight"), ok("hotel")])),
    (
        "A3",
        "a second failure of one attempt",
        lambda: events([issued("flight"), *[failed("flight", 1, 9 * SECOND)] * 2]),
    ),
    ("A3", "an answer to another attempt", lambda: events([issued("flight"), failed("flight", 7, 9 * SECOND)])),
    (
        "A3",
        "compensated, though an effect stands",
        lambda: events(
            [
                *(issued("flight"), ok("flight"), issued("hotel"), rejected("hotel"), back("hotel"), undo("flight")),
                *(undo_failed("flight"), e.StepBlocked(0, "flight", "error", "")),
                *(e.OperatorActed(0, Verb.SKIP, "flight", "eve", "why"), TURNED),
            ]
        ),
    ),
    ("A3", "closed, though nothing stands", lambda: events([*COMPENSATED[:-1], e.SagaClosed(0)])),
    (
        "A3",
        "a verb on what is not blocked",
        lambda: events([issued("flight"), e.OperatorActed(0, Verb.SKIP, "flight", "eve", "why")]),
    ),
    ("A3", "a signal twice", lambda: events([e.SignalReceived(0, "s", "A", 1), e.SignalReceived(0, "s", "A", 1)])),
    ("A3", "suspended twice", lambda: events([e.Suspended(0, "eve", "why"), e.Suspended(0, "eve", "why")])),
    ("A3", "resumed without having been suspended", lambda: events([e.Resumed(0, "eve", "why")])),
    ("A3", "a command while suspended", lambda: events([e.Suspended(0, "eve", "why"), issued("flight")])),
    ("A3", "turned back twice", lambda: events([CANCEL, back(None, "cancelled"), back(None, "cancelled")])),
    ("A3", "given up without having been asked", lambda: events([gave_up("flight")])),
    ("A3", "a timer that was never set", lambda: events([e.TimerFired(0, "nap")], MOMENTS)),
    ("A3", "a wait that nobody answered", lambda: events([e.TimerSet(0, "ask", None, "Answered"), ok("ask")], MOMENTS)),
    ("A3", "an item beyond the last one", lambda: events([e.ItemsFixed(0, "flight", (1,)), issued("flight", 1, 3)])),
    ("A4", "a row of another status", lambda: history(rows(COMPLETED, status="closed"), STORE)),
    ("A4", "a row of another key", lambda: history(rows(COMPLETED, key="other"), STORE)),
    ("A4", "a row that ended at another time", lambda: history(rows(COMPLETED, ended_at=1), STORE)),
    ("A4", "a cursor beyond the end", lambda: history(rows(COMPLETED, published=99), STORE)),
    ("A4", "a snapshot of something else", lambda: snapshot(encode_state(SagaState(SAGA, version=3)))),
    ("A4", "a snapshot of a version that is not there", lambda: snapshot(encode_state(SagaState(SAGA)), 99)),
    ("A4", "a snapshot that is no JSON", lambda: snapshot(b"{")),
    ("A5", "a batch in pieces", lambda: changed(COMPLETED, put(5, batch_id=UUID(int=2)))),
    (
        "A5",
        "an event that two commits wrote",
        lambda: changed(COMPLETED, lambda found: found.append(replace(found[2], batch_id=OTHER))),
    ),
    ("A5", "an event without a batch", lambda: changed(COMPLETED, put(5, batch_id=None))),
    ("A6", "a key that belongs to nobody", lambda: history(without(rows(COMPLETED), KEY), STORE)),
    (
        "A6",
        "a key of another generation",
        lambda: history([*without(rows(COMPLETED), KEY), KeyRow("trip", "k", 2, SAGA, "i")], STORE),
    ),
    ("A6", "an acknowledged start that is not there", lambda: started((ClientAnswer.DONE, OTHER, "i"))),
    (
        "A6",
        "a saga that two clients began",
        lambda: started((ClientAnswer.DONE, SAGA, "i"), (ClientAnswer.DONE, SAGA, "i")),
    ),
    (
        "A6",
        "another input that was taken for the same",
        lambda: started((ClientAnswer.DONE, SAGA, "i"), (ClientAnswer.EXISTING, SAGA, "j")),
    ),
    (
        "A6",
        "an input that somebody has changed",
        lambda: history([*without(rows(COMPLETED), KEY), replace(KEY, input_hash="other")], STORE),
    ),
    ("A7", "a payload that nobody computed", lambda: events([replace(issued("flight"), payload={"price": 1})])),
    (
        "A7",
        "a compensation's payload that nobody computed",
        lambda: events([*_turned, replace(undo("flight"), payload=1)]),
    ),
    ("A7", "a step that was skipped without a reason", lambda: events([e.StepSkipped(0, "flight")])),
    ("A7", "items that nobody computed", lambda: events([e.ItemsFixed(0, "pack", (7,))], COUNTED)),
    ("A7", "an output that nobody computed", lambda: events([*_counted, e.SagaCompleted(0, {"n": 9})], COUNTED)),
    ("A7", "events that no input explains", lambda: decided()),
    ("A7", "an input that leads elsewhere", lambda: decided(InputDecided(SAGA, 0, encode_input(Due(1))))),
    ("A7", "an input that is none", lambda: decided(InputDecided(SAGA, 0, "{}"))),
    (
        "A7",
        "an input of another time",
        lambda: decided(InputDecided(SAGA, 0, encode_input(Start(7, definition_hash(load(BOOK)), "k", 1, {})))),
    ),
    ("A8", "a definition that is not there", lambda: history(without(rows(COMPLETED), defined()), STORE)),
    (
        "A8",
        "a definition that was changed",
        lambda: history([*without(rows(COMPLETED), defined()), replace(defined(), content="{}")], STORE),
    ),
    (
        "A8",
        "a row that names another definition",
        lambda: history([*rows(COMPLETED, definition_hash=defined(PIVOT).hash), defined(PIVOT)], STORE),
    ),
    ("B1", "a command that was never issued", lambda: told([*whole(COMPLETED), sent("car", 99, attempt=2)])),
    ("B1", "a command before its commit", lambda: told([*without(whole(COMPLETED), sent("car", 61)), sent("car", 59)])),
    (
        "B1",
        "an event of no version",
        lambda: told([*whole(COMPLETED), replace(sent("car", 99), carried=Carried.EVENT, key="", version=44)]),
    ),
    ("B2", "a command that was never sent", lambda: told(_without_car())),
    ("B2", "a command that was not acknowledged", lambda: told([*_without_car(), sent("car", 61, acknowledged=False)])),
    (
        "B2",
        "an event that was never published",
        lambda: told([*rows([issued("flight"), ok("flight"), DONE], EMITTING), sent("flight", 21)]),
    ),
    ("B2", "an end that is not published at rest", lambda: at_rest(COMPLETED, *conversation(COMPLETED), published=4)),
    (
        "B3",
        "a second send with another body",
        lambda: told([*whole(COMPLETED), sent("car", 63, send=2, body_hash="other")]),
    ),
    (
        "B3",
        "a second send to another subject",
        lambda: told([*whole(COMPLETED), sent("car", 63, send=2, subject="saga.command.inn.book")]),
    ),
    ("B3", "a key that is none", lambda: told([*whole(COMPLETED), sent("car", 63, key="car")])),
    ("B3", "an attempt without a failure", lambda: events([issued("flight"), issued("flight", 2)])),
    (
        "B4",
        "a command after compensation began",
        lambda: events([issued("flight"), ok("flight"), CANCEL, back(None, "cancelled"), issued("hotel")]),
    ),
    (
        "B5",
        "a compensation of what was never issued",
        lambda: events([issued("flight"), CANCEL, back(None, "cancelled"), undo("hotel")]),
    ),
    (
        "B5",
        "a compensation of what was rejected",
        lambda: events([issued("flight"), rejected("flight"), back("flight"), undo("flight")]),
    ),
    ("B5", "an unknown outcome that nobody undid", lambda: events(UNKNOWN_LEFT)),
    (
        "B5",
        "a success that nobody undid",
        lambda: events([issued("flight"), ok("flight"), CANCEL, back(None, "cancelled"), TURNED]),
    ),
    ("B6", "a step before the one it needs", lambda: events([issued("flight"), issued("hotel")])),
    ("B6", "events in another order", lambda: changed(COMPLETED, swap(3, 4))),
    ("B6", "a skipped step before the one it needs", lambda: events([issued("flight"), e.StepSkipped(0, "hotel")])),
    (
        "B6",
        "a compensation before that of what depends on it",
        lambda: events([*COMPENSATED[:7], undo("flight"), undo("hotel")]),
    ),
    (
        "B6",
        "a compensation while what depends on it is out",
        lambda: events([*COMPLETED[:3], CANCEL, back(None, "cancelled"), undo("flight")]),
    ),
    ("B7", "a compensation past the point of no return", lambda: events(PAST, PIVOT)),
    ("B8", "a timer that fires early", lambda: events([e.TimerSet(0, "nap", 10**9), e.TimerFired(0, "nap")], MOMENTS)),
    ("B8", "a timer that fires twice", lambda: events([*NAPPED, e.TimerFired(6 * SECOND, "nap")], MOMENTS)),
    ("B8", "a timer that nobody set", lambda: events([e.TimerFired(0, "nap")], MOMENTS)),
    ("B9", "an attempt too many", lambda: events(RETRIED_TOO_OFTEN, LIMITED)),
    (
        "B9",
        "an attempt before its time",
        lambda: events(
            [issued("one"), failed("one", 1, 4 * SECOND), replace(issued("one", 2), at=4 * SECOND - 1)], LIMITED
        ),
    ),
    ("B9", "a delay that is too long", lambda: events([issued("one"), failed("one", 1, 9 * SECOND)], LIMITED)),
    (
        "B9",
        "a delay without the jitter that was asked for",
        lambda: events([issued("one"), failed("one", 1, 3 * SECOND + 1)], LIMITED),
    ),
    ("C1", "an effect twice", lambda: told([*whole(COMPLETED), did("car", 88)])),
    ("C2", "a step of a completed saga without effect", lambda: told(without(whole(COMPLETED), did("car", 67)))),
    (
        "C2",
        "a step of a completed saga that was undone",
        lambda: told([*whole(COMPLETED), did("car", 88, LedgerKind.COMPENSATION)]),
    ),
    (
        "C2",
        "a skipped step that took effect",
        lambda: told([*whole([*COMPLETED[:4], e.StepSkipped(0, "car"), DONE]), did("car", 65)]),
    ),
    (
        "C3",
        "an effect that was not undone",
        lambda: told(without(whole(COMPENSATED), did("hotel", 97, LedgerKind.COMPENSATION))),
    ),
    (
        "C3",
        "an effect that was undone twice",
        lambda: told([*whole(COMPENSATED), did("hotel", 98, LedgerKind.COMPENSATION)]),
    ),
    ("C3", "an effect of no step", lambda: told([*whole(COMPENSATED), replace(did("car", 1), step="boat")])),
    ("C4", "effects undone in their own order", lambda: told([*_undone_early(), *rows(COMPENSATED)])),
    (
        "C5",
        "an effect after its tombstone",
        lambda: told([did("car", 5, LedgerKind.EMPTY_COMPENSATION), did("car", 6)]),
    ),
    (
        "C6",
        "an empty compensation that changed something",
        lambda: told([did("car", 5, LedgerKind.EMPTY_COMPENSATION, 3)]),
    ),
    (
        "C6",
        "an empty compensation of an effect",
        lambda: told([did("car", 4), did("car", 5, LedgerKind.EMPTY_COMPENSATION)]),
    ),
    ("C6", "a compensation of nothing", lambda: told([did("car", 5, LedgerKind.COMPENSATION)])),
    ("C7", "a rejected step that took effect", lambda: told([*whole(COMPENSATED), did("car", 66)])),
    (
        "C7",
        "a rejection on the wire, and an effect",
        lambda: told([*whole(COMPLETED), answered("car", Outcome.REJECTED, 60)]),
    ),
    (
        "C8",
        "money that was made",
        lambda: told([Balance("p", "money", 10, 0, at_rest=False), Balance("p", "money", 11, 0, at_rest=True)]),
    ),
    (
        "C8",
        "money below zero",
        lambda: told([Balance("p", "money", 10, 0, at_rest=False), Balance("p", "money", 10, -1, at_rest=True)]),
    ),
    ("C9", "a lock of a saga that ended", lambda: told([*whole(COMPLETED), LockHeld("rent", SAGA, "car 7")])),
    ("D1", "a reply that was never applied", lambda: at_rest(COMPLETED[:5], _kept("car"))),
    ("D1", "a reply that was applied twice", lambda: at_rest([*COMPLETED[:2], ok("flight")], _kept("flight"))),
    (
        "D1",
        "a compensation that was never applied",
        lambda: at_rest(COMPENSATED[:8], replace(_kept("hotel"), key=key("hotel", COMPENSATE))),
    ),
    ("D1", "an answer to what the saga never asked", lambda: at_rest(COMPLETED[:2], _kept("car"))),
    (
        "D2",
        "a success that nobody sent",
        lambda: told(without(whole(COMPLETED), answered("car", Outcome.SUCCEEDED, 68))),
    ),
    ("D2", "a success that was forged", lambda: told(_forged(forged=True))),
    ("D2", "a success of another participant", lambda: told(_forged(participant="inn"))),
    ("D2", "a success that came later", lambda: told(_forged(order=75))),
    (
        "D2",
        "a failure of another attempt",
        lambda: told(
            [
                *rows([issued("flight"), failed("flight", 1, 9 * SECOND)]),
                answered("flight", Outcome.FAILED, 25, attempt=2),
            ]
        ),
    ),
    (
        "D2",
        "a compensation that nobody confirmed",
        lambda: told(without(whole(COMPENSATED), answered("hotel", Outcome.SUCCEEDED, 98, COMPENSATE))),
    ),
    (
        "D3",
        "a late success that stands",
        lambda: told([*rows(UNKNOWN_LEFT), answered("flight", Outcome.SUCCEEDED, 99)]),
    ),
    ("D4", "two outcomes of one step", lambda: events([issued("flight"), ok("flight"), rejected("flight")])),
    ("D4", "a compensation that was applied twice", lambda: events([*COMPENSATED[:9], undone("hotel")])),
    ("E1", "a saga that does not end", lambda: at_rest(COMPLETED[:3])),
    ("E1", "a saga that nobody looks at", lambda: looked_at(COMPLETED[:3], next_due=None)),
    ("E1", "a saga that is long overdue", lambda: looked_at(COMPLETED[:3])),
    ("E2", "turned back without a reason", lambda: events([issued("flight"), ok("flight"), back(None, "cancelled")])),
    (
        "E2",
        "turned back before the attempts were spent",
        lambda: events([issued("flight"), failed("flight"), back("flight")]),
    ),
    ("E2", "timed out without a limit", lambda: events([issued("flight"), back(None, "saga_timeout")])),
    ("E2", "given up without a limit", lambda: events([issued("flight"), gave_up("flight"), back("flight")])),
    ("E2", "too many events that were few", lambda: events([issued("flight"), back(None, "too_many_events")])),
    ("E2", "blocked before the attempts were spent", lambda: events(BLOCKED_EARLY)),
    ("E4", "an ended saga that is still due", lambda: at_rest(COMPLETED, next_due=5)),
    ("E4", "an end that was not published for long", lambda: looked_at(COMPLETED, published=3)),
    ("E4", "messages that are left", lambda: told([Remainder("unacknowledged messages", 2)])),
]


@pytest.mark.parametrize(
    ("number", "what", "plant"), PLANTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_checker_objects_to(number: str, what: str, plant: Plant) -> None:
    violations = [violation for violation in check(plant()) if violation.invariant == number]
    assert violations, f"{number} does not object to {what}"
    assert all(violation.seen and violation.expected for violation in violations)


@pytest.mark.parametrize("found", [COMPLETED, COMPENSATED], ids=["completed", "compensated"])
def test_nobody_objects_to_what_the_planted_histories_are_made_of(found: tuple[Event, ...]) -> None:
    assert [str(violation) for violation in check(told(whole(found)))] == []
    assert [str(violation) for violation in check(at_rest(found, *conversation(found)))] == []
    assert [str(violation) for violation in check(looked_at(found))] == []


def test_every_invariant_that_is_checked_has_a_planted_history() -> None:
    assert sorted({number for number, _, _ in PLANTED}) == list(numbers())


def test_every_single_check_objects_to_something() -> None:
    histories = [plant() for _, _, plant in PLANTED]
    silent = [
        f"{one.number} {one.check.__name__}"
        for one in SAGA_INVARIANTS
        if not any(
            one.needs <= found.around.sections and list(one.check(Case(each, found.around)))
            for found in histories
            for each in found.sagas
        )
    ]
    silent += [
        f"{one.number} {one.check.__name__}"
        for one in COMMON_INVARIANTS
        if not any(one.needs <= found.around.sections and list(one.check(found.around)) for found in histories)
    ]
    assert silent == []
