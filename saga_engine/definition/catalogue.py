"""What is known about commands: the schemas of what they take and return, and whether they are fenced.

Owns the form of `definitions/participants.json`, which is exported from the handlers. Knows no definition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from saga_engine.definition.model import Json
from saga_engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """One command. `input`, `result`: JSON Schema (None: anything). `fenced`: its inbox shares its transaction."""

    input: Mapping[str, Json] | None = None
    result: Mapping[str, Json] | None = None
    fenced: bool = True


@dataclass(frozen=True, slots=True)
class ParticipantCatalogue:
    """All known commands, by `participant.command`."""

    commands: Mapping[str, CommandEntry]

    def get(self, participant: str, command: str) -> CommandEntry | None:
        return self.commands.get(f"{participant}.{command}")

    def participants(self) -> frozenset[str]:
        return frozenset(name.partition(".")[0] for name in self.commands)

    def to_json(self) -> Json:
        """The content of `participants.json`: `{"order.create": {"input": ..., "result": ..., "fenced": true}}`."""
        return {
            name: {"input": entry.input, "result": entry.result, "fenced": entry.fenced}
            for name, entry in sorted(self.commands.items())
        }


def load_catalogue(path: Path) -> ParticipantCatalogue:
    """Read `participants.json`. Raises UsageError when it is not of the form that `to_json` gives."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}; export it from the handlers again") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path}: expected an object of commands; export it from the handlers again")
    return ParticipantCatalogue({name: _entry(path, name, entry) for name, entry in content.items()})


def _entry(path: Path, name: str, entry: object) -> CommandEntry:
    if not isinstance(entry, dict) or not set(entry) <= {"input", "result", "fenced"} or name.count(".") != 1:
        raise UsageError(f'{path}: "{name}": expected "participant.command" with input, result and fenced')
    schemas = [entry.get("input"), entry.get("result")]
    fenced = entry.get("fenced", True)
    if not all(schema is None or isinstance(schema, dict) for schema in schemas) or not isinstance(fenced, bool):
        raise UsageError(f'{path}: "{name}": input and result must be JSON Schemas, fenced true or false')
    return CommandEntry(schemas[0], schemas[1], fenced)
