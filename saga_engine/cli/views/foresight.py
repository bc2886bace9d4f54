"""What would follow from a cancel or a failure, wave by wave, in words and as JSON.

Owns the wording. What follows is told by the core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from saga_engine.cli.output import Part, Styled, brief_json
from saga_engine.cli.views.hearing import heard
from saga_engine.cli.views.saga import status_part
from saga_engine.core.events import Direction
from saga_engine.core.foresight import ForeseenCommand, Foresight, Wave
from saga_engine.core.plan import Plan
from saga_engine.core.state import address
from saga_engine.definition.model import Json, Wait
from saga_engine.elapsed import elapsed

_MOST_CAUSES: Final = 6
_CANCEL: Final = "cancel"
"""The one cause that the core names by its verb, as `--if` takes it."""


def foresight_lines(foresight: Foresight, plan: Plan) -> list[list[Part]]:
    """Each wave with what it follows from and what it sends, then how the saga would be."""
    ways = _ways(plan)
    lines: list[list[Part]] = [[Styled(f"note: {note}", "yellow")] for note in foresight.notes]
    for number, wave in enumerate(foresight.waves, start=1):
        lines.append([Styled(f"{number}. ", bold=True), f"{_later(wave)}when {_causes(wave, ways)}"])
        lines += [_command(command) for command in wave.commands]
        lines += [[f"   ✉ {event}"] for event in wave.events]
    lines.append(["the saga would be ", status_part(foresight.status)])
    return lines


def foresight_json(foresight: Foresight) -> Mapping[str, Json]:
    """The waves as they follow each other, `wait_ms` apart, and the status that the saga would have."""
    return {"status": str(foresight.status), "notes": foresight.notes, "waves": [_wave(w) for w in foresight.waves]}


def _ways(plan: Plan) -> Mapping[str, str]:
    """By a cause as the core words it, the way in which it comes about, where there is more than one."""
    waits = ((place, plan.nodes[place].action, subject) for place, subject in heard(plan).items())
    return {
        f"{wait.event} comes for {place}": f" (a signal, or an event on {subject})"
        for place, wait, subject in waits
        if isinstance(wait, Wait)
    }


def _causes(wave: Wave, ways: Mapping[str, str]) -> str:
    told = ["the saga is cancelled" if cause == _CANCEL else cause + ways.get(cause, "") for cause in wave.after]
    shown, more = told[:_MOST_CAUSES], len(wave.after) - _MOST_CAUSES
    parts = shown if more <= 0 else [*shown, f"{more:,} more"]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _later(wave: Wave) -> str:
    return f"after {elapsed(wave.wait_us)}, " if wave.wait_us else ""


def _command(command: ForeseenCommand) -> list[Part]:
    undoes = command.direction is Direction.COMPENSATE
    sign = Styled("   ← " if undoes else "   → ", "yellow" if undoes else "cyan")
    what = f"{command.participant}.{command.command} for {address(command.step, command.item)}"
    return [sign, f"{what}  {brief_json(command.payload, 80)}"]


def _wave(wave: Wave) -> Mapping[str, Json]:
    return {
        "after": wave.after,
        "wait_ms": wave.wait_us // 1000,
        "commands": [
            {
                "step": command.step,
                "item": command.item,
                "direction": str(command.direction),
                "participant": command.participant,
                "command": command.command,
                "payload": command.payload,
            }
            for command in wave.commands
        ],
        "events": wave.events,
    }
