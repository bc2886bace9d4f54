"""A saga's state as a person reads it: status, failure, particulars.

Owns colours and headings. Knows no event: what happened when is the timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Final

from saga_engine.cli.output import Part, Styled, brief_json, rfc3339
from saga_engine.core.bounds import MANY_EVENTS, MOST_EVENTS
from saga_engine.core.state import SagaState, Status
from saga_engine.definition.model import Json
from saga_engine.elapsed import elapsed

COLOURS: Final[Mapping[str, str]] = {
    Status.COMPLETED: "green",
    Status.COMPENSATED: "yellow",
    Status.COMPENSATING: "yellow",
    Status.CLOSED: "red",
    Status.BLOCKED: "red",
    Status.SUSPENDED: "magenta",
    Status.RUNNING: "cyan",
}

_EMPTY: Final[Sequence[Json]] = (None, "", [], {})


def saga_heading(state: SagaState, now: int, input_schema: Mapping[str, Json] | None = None) -> list[list[Part]]:
    """What stands first: which saga, how it is and for how long, why it failed, what is blocked; then its particulars.

    `now`: until when one that goes on has taken so far. `input_schema`: what tells defaults from what was given.
    """
    took = (now if state.ended_at is None else state.ended_at) - state.started_at
    lines: list[list[Part]] = [
        [
            Styled(state.saga, bold=True),
            f"  {state.key}  ",
            status_part(state.status),
            f"  {'for' if state.ended_at is None else 'in'} {elapsed(took)}",
        ]
    ]
    lines += failure_lines(state)
    if state.blocked:
        lines.append(_field("blocked", ", ".join(state.blocked), "red"))
    lines += [
        _field("id", str(state.saga_id)),
        _field("version", str(state.definition_version)),
        _input(state.input, input_schema),
        _field("started", rfc3339(state.started_at)),
    ]
    if state.version >= MANY_EVENTS:
        lines.append(_field("events", f"{state.version:,}, which is many: it goes forward up to {MOST_EVENTS:,}"))
    if state.ended_at is not None:
        lines.append(_field("ended", rfc3339(state.ended_at)))
    return lines


def failure_lines(state: SagaState) -> list[list[Part]]:
    """Why it is compensated, on one line; none if nothing failed."""
    if state.failure is None:
        return []
    step = f"{state.failure.step}: " if state.failure.step else ""
    return [_field("failure", f"{step}{state.failure.code}: {state.failure.message}", "red")]


def next_line(state: SagaState) -> list[Part]:
    """The command by which one learns the rest."""
    return _field("next", f"saga show {state.saga_id}")


def status_part(status: str) -> Styled:
    """A status in its colour."""
    return Styled(status, COLOURS.get(status))


def _input(value: Json, schema: Mapping[str, Json] | None) -> list[Part]:
    """What was given, then what is as by default: of an empty value only the name."""
    properties = None if schema is None else schema.get("properties")
    if not isinstance(value, Mapping) or not isinstance(properties, Mapping):
        return _field("input", brief_json(value))
    defaults = {
        name: one["default"] for name, one in properties.items() if isinstance(one, Mapping) and "default" in one
    }
    same = [name for name in value if name in defaults and dumps(value[name]) == dumps(defaults[name])]
    line = _field("input", brief_json({name: value[name] for name in value if name not in same}))
    named = ", ".join(name if value[name] in _EMPTY else f"{name} {brief_json(value[name])}" for name in same)
    return [*line, Styled(f"  by default: {named}", dim=True)] if same else line


def _field(name: str, value: str, colour: str | None = None) -> list[Part]:
    return [Styled(f"  {name:<8} ", dim=True), Styled(value, colour)]
