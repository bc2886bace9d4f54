"""Planted: commands and timers that no decider would issue, and sends that no relay would make."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saga_engine.audit.history import Record
from saga_engine.audit.records.messages import Carried
from saga_engine.core import events as e
from tests.unit.audit.planting import (
    CANCEL,
    COMPENSATED,
    COMPLETED,
    DONE,
    SECOND,
    TURNED,
    Planted,
    at_rest,
    back,
    changed,
    conversation,
    events,
    failed,
    gave_up,
    issued,
    ok,
    rejected,
    rows,
    sent,
    swap,
    told,
    undo,
    whole,
    without,
)
from tests.unit.core.sagas import PIVOT, saga

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


def _event(version: int, order: int, *, acknowledged: bool = True) -> Record:
    return sent("car", order, carried=Carried.EVENT, key="", version=version, acknowledged=acknowledged)


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


NAPPED: Final = (e.TimerSet(0, "nap", 4 * SECOND), e.TimerFired(5 * SECOND, "nap"))


PLANTED: Final[list[Planted]] = [
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
    ("B2", "an event that overtook the one before it", lambda: told([*whole(COMPLETED), _event(4, 61), _event(3, 62)])),
    (
        "B2",
        "an event that did not wait for the acknowledgement of the one before it",
        lambda: told([*whole(COMPLETED), _event(3, 61, acknowledged=False), _event(4, 62), _event(3, 63)]),
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
]
