"""Planted: sagas that do not end, or that turn back for no reason."""

from __future__ import annotations

from typing import Final

from saga_engine.audit.records.surroundings import Remainder
from saga_engine.core import events as e
from tests.unit.audit.planting import (
    COMPLETED,
    Planted,
    at_rest,
    back,
    events,
    failed,
    gave_up,
    issued,
    looked_at,
    ok,
    rejected,
    told,
    undo,
    undo_failed,
)

BLOCKED_EARLY: Final = (
    *(issued("flight"), ok("flight"), issued("hotel"), rejected("hotel"), back("hotel"), undo("flight")),
    *(undo_failed("flight"), e.StepBlocked(0, "flight", "error", "")),
)


PLANTED: Final[list[Planted]] = [
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
