"""The definitions of a project, from its files; and what an edited one says differently from the registered one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path

import orjson

from saga_engine.definition.loader import load_file
from saga_engine.definition.model import Definition
from saga_engine.definition.problems import Problems
from saga_engine.errors import UsageError
from saga_engine.orchestrator.starting import DefinitionChanged
from saga_engine.project import definition_files


def project_definitions(root: Path) -> Mapping[str, Mapping[int, Definition]]:
    """The project's definitions by saga name and version.

    Raises:
        UsageError: a file is no sound definition (all problems, one a line), or two say the same version.
    """
    found: dict[str, dict[int, Definition]] = {}
    places: dict[tuple[str, int], Path] = {}
    problems: list[str] = []
    for path in definition_files(root):
        shown = Path(os.path.relpath(path))
        loaded = load_file(shown)
        if isinstance(loaded, Problems):
            problems.append(str(loaded))
            continue
        definition = loaded.definition
        place = (definition.saga, definition.version)
        if place in places:
            problems.append(f"{shown}:1:1: saga {place[0]} version {place[1]} is defined in {places[place]} already")
        places[place] = shown
        found.setdefault(definition.saga, {})[definition.version] = definition
    if problems:
        raise UsageError("\n".join(problems))
    return found


def difference(changed: DefinitionChanged) -> str:
    """What an edited definition says differently from the stored one of the same version."""
    lines = unified_diff(_pretty(changed.stored), _pretty(changed.offered), "stored", "here", n=2, lineterm="")
    return (
        f"saga {changed.saga} version {changed.version} was changed after it was registered; "
        f"raise its version, or restore it:\n" + "\n".join(lines)
    )


def _pretty(content: bytes) -> list[str]:
    return orjson.dumps(orjson.loads(content), option=orjson.OPT_INDENT_2).decode().splitlines()
