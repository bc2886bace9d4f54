"""The definitions of a project, from its files; and what an edited one says differently from the registered one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saga_engine.definition.problems import Problems
from saga_engine.errors import UsageError
from saga_engine.project import CATALOGUE, definition_files

if TYPE_CHECKING:
    from saga_engine.definition.catalogue import ParticipantCatalogue
    from saga_engine.definition.loader import Loaded
    from saga_engine.definition.model import Definition
    from saga_engine.orchestrator.starting import DefinitionChanged


@dataclass(frozen=True, slots=True)
class DefinitionFile:
    """A sound definition with its places, and the file that says it, relative to the current folder."""

    path: Path
    loaded: Loaded

    @property
    def definition(self) -> Definition:
        """What the file says."""
        return self.loaded.definition


def load_definition(path: Path) -> Loaded | Problems:
    """Load one file, against the catalogue of commands that stands beside it, if one was exported.

    Raises:
        UsageError: the catalogue is there and is not of its form.
    """
    # Imported late: a client needs it only to start a saga.
    from saga_engine.definition.loader import load_file

    return load_file(path, participants=_catalogue_beside(path))


def load_project(root: Path) -> Sequence[DefinitionFile]:
    """The project's definitions, by file name.

    Raises:
        UsageError: a file is no sound definition (all problems, one a line), or two say the same version.
    """
    found: dict[tuple[str, int], DefinitionFile] = {}
    problems: list[str] = []
    for path in definition_files(root):
        shown = Path(os.path.relpath(path))
        loaded = load_definition(shown)
        if isinstance(loaded, Problems):
            problems.append(str(loaded))
            continue
        place = (loaded.definition.saga, loaded.definition.version)
        if place in found:
            known = found[place].path
            problems.append(f"{shown}:1:1: saga {place[0]} version {place[1]} is defined in {known} already")
        found[place] = DefinitionFile(shown, loaded)
    if problems:
        raise UsageError("\n".join(problems))
    return list(found.values())


def project_definitions(root: Path) -> Mapping[str, Mapping[int, Definition]]:
    """The project's definitions by saga name and version. Raises as `load_project`."""
    by_name: dict[str, dict[int, Definition]] = {}
    for file in load_project(root):
        by_name.setdefault(file.definition.saga, {})[file.definition.version] = file.definition
    return by_name


def difference(changed: DefinitionChanged) -> str:
    """What an edited definition says differently from the stored one of the same version."""
    from saga_engine.definition.text import differing_lines, stored_form

    lines = differing_lines(stored_form(changed.stored), stored_form(changed.offered), "stored", "here")
    return (
        f"saga {changed.saga} version {changed.version} was changed after it was registered; "
        f"raise its version, or restore it:\n" + "\n".join(f"  {line}" for line in lines)
    )


def _catalogue_beside(definition: Path) -> ParticipantCatalogue | None:
    path = definition.parent / CATALOGUE
    # Not `Path.is_file`, which raises for a folder that cannot be or must not be looked into.
    if not os.path.isfile(path):  # noqa: PTH113 - for that reason
        return None
    from saga_engine.definition.catalogue import load_catalogue

    return load_catalogue(path)
