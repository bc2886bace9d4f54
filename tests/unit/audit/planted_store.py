"""Planted: the event store: streams, rows, keys and definitions that do not hold together."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from saga_engine.audit.check import History
from saga_engine.audit.history import Record, Section
from saga_engine.audit.inputs import encode_input
from saga_engine.audit.records.clients import ClientAnswer, ClientAnswered, ClientCalled, ClientVerb
from saga_engine.audit.records.stored import InputDecided, KeyRow, SnapshotRow, StreamRow
from saga_engine.codec import encode_state
from saga_engine.core import events as e
from saga_engine.core.events import Verb
from saga_engine.core.inputs import Due, Start
from saga_engine.core.state import SagaState
from saga_engine.definition.canonical import definition_hash
from saga_engine.testing.sources import load
from tests.unit.audit.planting import (
    CANCEL,
    COMPENSATED,
    COMPLETED,
    DONE,
    KEY,
    SAGA,
    SECOND,
    STORE,
    TURNED,
    Planted,
    back,
    changed,
    cut,
    defined,
    events,
    failed,
    gave_up,
    head,
    history,
    issued,
    ok,
    put,
    rejected,
    rows,
    stream,
    swap,
    told,
    undo,
    undo_failed,
    without,
)
from tests.unit.core.sagas import BOOK, PIVOT, saga

MOMENTS: Final = saga(
    """
    step: nap, sleep: 1h
    step: ask, wait: {event: Answered, timeout: 1h, on_timeout: continue}
    """
)


COUNTED: Final = saga(
    "step: pack, call: p.pack, compensate: none, for_each: {in: '${{ [] }}', as: item}", "output: {n: 1}"
)


_counted: Final = (e.ItemsFixed(0, "pack", ()), ok("pack"))


_turned: Final = (issued("flight"), ok("flight"), CANCEL, back(None, "cancelled"))


OTHER: Final = UUID("018f0000-0000-7000-8000-000000000002")


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


PLANTED: Final[list[Planted]] = [
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
]
