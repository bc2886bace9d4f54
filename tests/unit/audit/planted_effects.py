"""Planted: effects that no inbox would let happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saga_engine.audit.history import Record
from saga_engine.audit.records.participants import Balance, LedgerKind, LockHeld
from saga_engine.core import events as e
from saga_engine.core.inputs import Outcome
from tests.unit.audit.planting import (
    COMPENSATED,
    COMPLETED,
    DONE,
    SAGA,
    Planted,
    answered,
    conversation,
    did,
    rows,
    told,
    whole,
    without,
)


def _undone_early() -> list[Record]:
    late, early = (did("flight", order, LedgerKind.COMPENSATION) for order in (117, 90))
    return [*without(conversation(COMPENSATED), late), early]


PLANTED: Final[list[Planted]] = [
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
]
