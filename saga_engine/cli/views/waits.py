"""What a saga waits for, and what an operator may do about it, in words.

Owns the wording. What is waited for is told by the core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, assert_never

from saga_engine.cli.output import Part, Styled, rfc3339
from saga_engine.core.events import Direction
from saga_engine.core.plan import Plan
from saga_engine.core.state import SagaState, address
from saga_engine.core.verbs import useful_verbs
from saga_engine.core.waits import (
    Awaited,
    AwaitedAttempt,
    AwaitedOperator,
    AwaitedReply,
    AwaitedResume,
    AwaitedSignal,
    AwaitedTime,
)
from saga_engine.elapsed import elapsed

NOT_HEARD: Final[Mapping[str, str]] = MappingProxyType({})

_LONG: Final = 5_000_000
"""From when on silence may mean that nobody is there to answer, in microseconds."""


def waits_lines(
    waits: Sequence[Awaited], plan: Plan, state: SagaState, now: int, heard: Mapping[str, str] = NOT_HEARD
) -> list[list[Part]]:
    """A line for each thing that is waited for, times as seen from `now`, and one for the verbs.

    `heard`: by step that waits, the subject on which an event of others ends its wait as well.
    """
    lines = awaited_lines(waits, state, now, heard)
    verbs = useful_verbs(plan, state)
    if verbs:
        lines.append([Styled("  possible ", dim=True), ", ".join(verbs)])
    return lines


def awaited_lines(
    waits: Sequence[Awaited], state: SagaState, now: int, heard: Mapping[str, str] = NOT_HEARD
) -> list[list[Part]]:
    """A line for each of these waits, with the command that ends it. `heard` as in `waits_lines`."""
    return [[Styled("  waits    ", dim=True), _words(one, state.key, now, heard)] for one in waits]


def blocked_words(blocked: Sequence[AwaitedOperator], key: str) -> str:
    """Which steps are blocked by what, and what to do next, on one line."""
    errors = ", ".join(f"{address(one.step, one.item)}: {_error(one.code, one.message)}" for one in blocked)
    return f"{errors} → {_next_step(key)}"


def _next_step(key: str) -> str:
    return f"saga retry {key}, or skip or resolve it with --why"


def _words(one: Awaited, key: str, now: int, heard: Mapping[str, str]) -> str:
    match one:
        case AwaitedReply():
            what = f"{address(one.step, one.item)}: for {_whose(one.direction)} of {one.participant}.{one.command}"
            again = "" if one.next_send is None else f", asked again {_in(one.next_send, now)}"
            until = "" if one.until is None else f", given up {_in(one.until, now)}"
            doubt = "" if now - one.since < _LONG else " → saga doctor says whether a worker serves it"
            return f"{what}, attempt {one.attempt} for {elapsed(now - one.since)}{again}{until}{doubt}"
        case AwaitedAttempt():
            what = f"{address(one.step, one.item)}: for attempt {one.attempt} {_doing(one.direction)}"
            return f"{what} {_in(one.until, now)}, after {_error(one.code, one.message)}"
        case AwaitedTime():
            return f"{address(one.step, one.item)}: to go on {_in(one.until, now)}"
        case AwaitedSignal():
            until = "" if one.until is None else f", until its time is up {_in(one.until, now)}"
            other = f", or an event on {heard[one.step]}" if one.step in heard else ""
            return f"{one.step}: for the signal {one.event}{other}{until} → saga signal {key} {one.event}"
        case AwaitedOperator():
            error = _error(one.code, one.message)
            return f"{address(one.step, one.item)}: blocked {_doing(one.direction)}, {error} → {_next_step(key)}"
        case AwaitedResume():
            return f"suspended → saga resume {key} --why TEXT"
    assert_never(one)


def _in(at: int, now: int) -> str:
    return f"in {elapsed(at - now)}, at {rfc3339(at)}"


def _whose(direction: Direction) -> str:
    return "the reply" if direction is Direction.FORWARD else "the compensation"


def _doing(direction: Direction) -> str:
    return "forward" if direction is Direction.FORWARD else "in compensation"


def _error(code: str, message: str) -> str:
    return f"{code}: {message}" if message else code
