"""Sagas in every status, put there by what participants and operators would say, without either running.

Owns the definition of them and the way to each status.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias
from uuid import UUID

from saga_engine.core.events import Direction, Verb
from saga_engine.core.inputs import Input, Operate, Outcome, ReplyReceived, Signal, Suspend
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import Started

STAY: Final = """
saga: stay
version: 1
key: ${{ input.guest }}
input:
  type: object
  required: [guest, rooms]
  properties: {guest: {type: string}, rooms: {type: array, items: {type: integer}}}
steps:
  - step: book
    call: hotel.book
    compensate: {call: hotel.cancel, with: {room: "${{ input.rooms[0] }}"}}
  - step: clean
    for_each: {in: "${{ input.rooms }}", as: room}
    call: hotel.clean
    with: {room: "${{ room }}"}
    compensate: none
  - step: agree
    wait: {event: Confirmed}
  - step: pay
    call: bank.pay
    compensate: none
"""
"""Without rooms, the compensation of `book` cannot be worked out: it blocks."""

WAITING: Final = "waiting"
ENDED: Final = (Status.COMPLETED, Status.COMPENSATED, Status.CLOSED)


def sagas(client: Client, guest: str) -> Mapping[str, UUID]:
    """A saga of each status, and one that is `WAITING` for an event, all of this guest."""
    found: dict[str, UUID] = {}
    for name, (rooms, course) in _COURSES.items():
        started = client.start("stay", {"guest": f"{guest} {name}", "rooms": rooms})
        assert isinstance(started, Started)
        for turn in course:
            client.act(started.saga_id, turn)
        expected = Status.RUNNING if name == WAITING else name
        assert client.status(started.saga_id).status == expected
        found[name] = started.saga_id
    return found


def _replied(
    step: str, outcome: Outcome = Outcome.SUCCEEDED, *, undone: bool = False, item: int | None = None
) -> Callable[[int], ReplyReceived]:
    code = "" if outcome is Outcome.SUCCEEDED else "declined"
    direction = Direction.COMPENSATE if undone else Direction.FORWARD
    return lambda at: ReplyReceived(at, step, item, direction, 1, 1, outcome, code=code)


def _agreed(at: int) -> Signal:
    return Signal(at, "s-1", "Confirmed", None)


def _skipped(at: int) -> Operate:
    return Operate(at, Verb.SKIP, "ann", "it stands")


def _suspended(at: int) -> Suspend:
    return Suspend(at, "ann", "a look")


_Course: TypeAlias = Sequence[Callable[[int], Input]]
_BOOKED: Final = _replied("book")
_CLEANED: Final = _replied("clean", item=0)
_DECLINED: Final = _replied("pay", Outcome.REJECTED)
_UNDONE: Final = _replied("book", undone=True)
_COURSES: Final[Mapping[str, tuple[list[Json], _Course]]] = {
    Status.RUNNING: ([1], [_BOOKED]),
    WAITING: ([1], [_BOOKED, _CLEANED]),
    Status.SUSPENDED: ([1], [_suspended]),
    Status.COMPENSATING: ([1], [_BOOKED, _CLEANED, _agreed, _DECLINED]),
    Status.BLOCKED: ([], [_BOOKED, _agreed, _DECLINED]),
    Status.COMPLETED: ([1], [_BOOKED, _CLEANED, _agreed, _replied("pay")]),
    Status.COMPENSATED: ([1], [_BOOKED, _CLEANED, _agreed, _DECLINED, _UNDONE]),
    Status.CLOSED: ([], [_BOOKED, _agreed, _DECLINED, _skipped]),
}
