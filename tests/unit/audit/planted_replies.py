"""Planted: replies that were lost, forged, or applied more than once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from saga_engine.audit.history import Record
from saga_engine.audit.records.participants import InboxRow
from saga_engine.core.events import Effect
from saga_engine.core.inputs import Outcome
from tests.unit.audit.planting import (
    CANCEL,
    COMPENSATE,
    COMPENSATED,
    COMPLETED,
    SAGA,
    SECOND,
    TURNED,
    Planted,
    answered,
    at_rest,
    back,
    events,
    failed,
    gave_up,
    issued,
    key,
    ok,
    rejected,
    rows,
    told,
    undone,
    whole,
    without,
)

UNKNOWN_LEFT: Final = (issued("flight"), CANCEL, back(None, "cancelled"), gave_up("flight"), TURNED)


def _kept(step: str) -> InboxRow:
    return InboxRow("p", key(step), SAGA, "succeeded", Effect.UNDONE, "", 1)


def _forged(**fields: object) -> list[Record]:
    genuine = answered("car", Outcome.SUCCEEDED, 68)
    return [*without(whole(COMPLETED), genuine), replace(genuine, **fields)]  # type: ignore[arg-type] # its fields


PLANTED: Final[list[Planted]] = [
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
]
