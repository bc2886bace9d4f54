"""A saga's state as a person reads it: status, failure, particulars.

Owns colours and headings. Knows no event: what happened when is the timeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saga_engine.cli.output import Part, Styled, brief_json, rfc3339
from saga_engine.core.bounds import MANY_EVENTS, MOST_EVENTS
from saga_engine.core.state import SagaState, Status
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


def saga_heading(state: SagaState, now: int) -> list[list[Part]]:
    """What stands first: which saga, how it is and for how long, why it failed, what is blocked; then its particulars.

    `now`: until when one that goes on has taken so far.
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
        _field("input", brief_json(state.input)),
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


def _field(name: str, value: str, colour: str | None = None) -> list[Part]:
    return [Styled(f"  {name:<8} ", dim=True), Styled(value, colour)]
