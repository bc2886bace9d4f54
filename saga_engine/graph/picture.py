"""What a picture of a saga shows: boxes for steps, arrows forward, and arrows the way compensation goes.

Owns what is shown and in which words. Knows no format and no coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from saga_engine.core.plan import Leaf, Node, Plan
from saga_engine.definition.durations import format_duration
from saga_engine.definition.model import Call, Kind, Sleep, Wait


class Tone(StrEnum):
    """How a box is coloured: by what kind of step it is, or by how far it has come."""

    PLAIN = "plain"
    TIMER = "timer"
    EVENT = "event"
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    FAILED = "failed"


_TONES: Final[Mapping[str, Tone]] = {
    "pending": Tone.PENDING,
    "not_run": Tone.PENDING,
    "running": Tone.RUNNING,
    "retrying": Tone.RUNNING,
    "sleeping": Tone.RUNNING,
    "waiting": Tone.RUNNING,
    "succeeded": Tone.DONE,
    "timed_out": Tone.DONE,
    "skipped": Tone.SKIPPED,
    "unfinished": Tone.SKIPPED,
    "given_up": Tone.SKIPPED,
    "compensating": Tone.COMPENSATING,
    "compensated": Tone.COMPENSATED,
    "without_effect": Tone.COMPENSATED,
    "resolved": Tone.COMPENSATED,
}
"""The other words for a step (rejected, unknown, blocked, exhausted, skipped in its compensation) are failures."""


@dataclass(frozen=True, slots=True)
class Box:
    """One step, or the event that starts the saga. `lines` stand below its name; `badge`: an unusual kind."""

    place: str
    lines: tuple[str, ...]
    badge: str
    pivot: bool
    tone: Tone


@dataclass(frozen=True, slots=True)
class Arrow:
    """`target` follows `source`. `undone`: if the saga fails at `target`, compensation goes back this way."""

    source: str
    target: str
    undone: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """All boxes, each after those that it follows, and the arrows between them."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def picture(plan: Plan, statuses: Mapping[str, str] | None = None, status: str = "") -> Picture:
    """The picture of a definition; of a saga with the `statuses` of its steps and its own `status`.

    The event of others that may start a saga is shown for a definition: which way a saga was started, nobody records.
    """
    definition = plan.definition
    title = f"{definition.saga} version {definition.version}" + (f" · {status}" if status else "")
    boxes = tuple(
        _box(node, None if statuses is None else statuses.get(node.place, "pending")) for node in plan.nodes.values()
    )
    undoable, final = _undoable(plan), _final(plan)
    arrows = tuple(
        Arrow(source, target, source in undoable and target not in final) for source, target in _direct(plan)
    )
    if definition.on is None or statuses is not None:
        return Picture(title, boxes, arrows)
    started = Box(f"✉ {definition.on.subject}", ("starts the saga",), "", False, Tone.EVENT)
    first = (Arrow(started.place, node.place, False) for node in plan.nodes.values() if not node.needs)
    return Picture(title, (started, *boxes), (*first, *arrows))


def _direct(plan: Plan) -> Iterator[tuple[str, str]]:
    """What needs what, without what follows from the rest: a step that comes after a child needs all of its steps."""
    before: dict[str, frozenset[str]] = {}
    for place, node in plan.nodes.items():
        further = frozenset(far for need in node.needs for far in before[need])
        before[place] = further.union(node.needs)
        for need in node.needs:
            if need not in further:
                yield need, place


def _undoable(plan: Plan) -> frozenset[str]:
    """The steps at or before which there is a compensation."""
    found: set[str] = set()
    for place, node in plan.nodes.items():
        own = node.call is not None and node.call.compensation is not None
        if own or any(need in found for need in node.needs):
            found.add(place)
    return frozenset(found)


def _final(plan: Plan) -> frozenset[str]:
    """The steps from which there is no way back: the retriable ones, and what follows these or the pivot."""
    found: set[str] = set()
    for place, node in plan.nodes.items():
        retriable = node.call is not None and node.call.kind is Kind.RETRIABLE
        if retriable or any(need in found or need == plan.pivot for need in node.needs):
            found.add(place)
    return frozenset(found)


def _box(node: Node, status: str | None) -> Box:
    action = node.action
    lines = [_what(action)]
    if isinstance(action, Call):
        if action.for_each is not None:
            lines.append(f"for each {action.for_each.as_name}, {action.for_each.max_parallel} at a time")
        if action.compensation is not None:
            lines.append(f"↶ {action.compensation.participant}.{action.compensation.command}")
    if isinstance(action, Wait) and action.on is not None:
        lines.append(f"or ✉ {action.on.subject}")
    lines += [f"if {_condition(str(condition.source))}" for scope, condition in node.guards if scope is node.scope]
    if status is not None:
        lines.append(status.replace("_", " "))
        tone = _TONES.get(status, Tone.FAILED)
    else:
        tone = Tone.PLAIN if isinstance(action, Call) else Tone.TIMER
    kind = action.kind if isinstance(action, Call) else None
    badge = "" if kind in (None, Kind.COMPENSATABLE) else str(kind).replace("_", " ")
    return Box(node.place, tuple(lines), badge, kind is Kind.PIVOT, tone)


def _what(action: Leaf) -> str:
    if isinstance(action, Call):
        return f"{action.participant}.{action.command}"
    if isinstance(action, Sleep):
        return f"sleep {format_duration(action.duration_us)}"
    limit = "" if action.timeout_us is None else f", at most {format_duration(action.timeout_us)}"
    return f"wait for {action.event}{limit}"


def _condition(source: str) -> str:
    whole = source.startswith("${{") and source.endswith("}}") and source.count("${{") == 1
    return source[3:-2].strip() if whole else source
