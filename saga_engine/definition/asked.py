"""The commands that a definition asks for, and which known one may be meant by a name that is none.

Owns what counts as called. Knows neither handlers nor where a catalogue comes from.
"""

from __future__ import annotations

from collections.abc import Set

from saga_engine.definition.model import Call, Child, Definition
from saga_engine.definition.problems import asked, near, nearest


def commands_of(definition: Definition) -> Set[str]:
    """Every command that a definition asks for, compensations and children included, as `participant.command`."""
    found: set[str] = set()
    for step in definition.steps:
        match step.action:
            case Call() as call:
                found.add(f"{call.participant}.{call.command}")
                if call.compensation is not None:
                    found.add(f"{call.compensation.participant}.{call.compensation.command}")
            case Child(definition=Definition() as child):
                found |= commands_of(child)
    return found


def meant_command(name: str, known: Set[str], called: Set[str]) -> str:
    """`did you mean "x"?` for the nearest of the `known` commands that is not `called`, or nothing.

    A command that is called has its place already: only one that nobody calls is likely to be this one, misspelt.
    """
    free = sorted(known - called)
    whose = f"{name.partition('.')[0]}."
    if not any(one.startswith(whose) for one in known):
        return nearest(name, free)
    # Compared without the participant, which makes all of its commands look alike.
    meant = near(name.removeprefix(whose), [one.removeprefix(whose) for one in free if one.startswith(whose)])
    return asked(None if meant is None else whose + meant)
