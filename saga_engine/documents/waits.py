"""What a saga waits for, as JSON.

What is waited for is told by the core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from saga_engine.core.waits import (
    Awaited,
    AwaitedAttempt,
    AwaitedOperator,
    AwaitedReply,
    AwaitedResume,
    AwaitedSignal,
    AwaitedTime,
)
from saga_engine.definition.model import Json
from saga_engine.moments import rfc3339


def waits_json(waits: Sequence[Awaited]) -> Sequence[Json]:
    """An object for each, told apart by `for`: reply, attempt, time, signal, operator or resume."""
    return [_row(one) for one in waits]


def blocked_json(one: AwaitedOperator) -> Mapping[str, Json]:
    """A blocked step with its last error."""
    return {
        "step": one.step,
        "item": one.item,
        "direction": str(one.direction),
        "code": one.code,
        "message": one.message,
    }


def _row(one: Awaited) -> Mapping[str, Json]:
    match one:
        case AwaitedReply():
            return {
                "for": "reply",
                "step": one.step,
                "item": one.item,
                "direction": str(one.direction),
                "participant": one.participant,
                "command": one.command,
                "attempt": one.attempt,
                "since": rfc3339(one.since),
                "next_send": _time(one.next_send),
                "until": _time(one.until),
            }
        case AwaitedAttempt():
            return {
                "for": "attempt",
                "step": one.step,
                "item": one.item,
                "direction": str(one.direction),
                "attempt": one.attempt,
                "until": rfc3339(one.until),
                "code": one.code,
                "message": one.message,
            }
        case AwaitedTime():
            return {"for": "time", "step": one.step, "item": one.item, "until": rfc3339(one.until)}
        case AwaitedSignal():
            return {"for": "signal", "step": one.step, "event": one.event, "until": _time(one.until)}
        case AwaitedOperator():
            return {"for": "operator", **blocked_json(one)}
        case AwaitedResume():
            return {"for": "resume"}
    assert_never(one)


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
