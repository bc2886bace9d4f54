"""A definition as a command reads it from a file: sound, with its child sagas, which stand in the same folder.

Owns where children and the catalogue of commands are looked for. Checks nothing itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from saga_engine.cli.files import meant_file
from saga_engine.cli.frame import Frame
from saga_engine.definition.catalogue import ParticipantCatalogue, load_catalogue
from saga_engine.definition.children import NotExpanded, expand
from saga_engine.definition.loader import Loaded, load_file
from saga_engine.definition.model import Definition
from saga_engine.definition.problems import Problems
from saga_engine.errors import UsageError
from saga_engine.project import CATALOGUE


@dataclass(frozen=True, slots=True)
class Whole:
    """A definition with its children expanded, and what the catalogue beside it says of commands, if there is one."""

    definition: Definition
    catalogue: ParticipantCatalogue | None


def read_whole(path: Path) -> Whole:
    """Read a definition and its children.

    Raises:
        UsageError: it is no sound definition, or a child is missing or none; every problem on a line of its own.
    """
    beside = path.parent / CATALOGUE
    catalogue = load_catalogue(beside) if beside.is_file() else None
    loaded = load_file(path, participants=catalogue)
    if isinstance(loaded, Problems):
        raise UsageError(str(loaded))
    expanded = expand(loaded.definition, lambda name, version: _child(path.parent, name, version))
    if isinstance(expanded, NotExpanded):
        raise UsageError(str(loaded.place(expanded.findings)))
    return Whole(expanded, catalogue)


def read_named(frame: Frame, path: Path) -> Whole:
    """As `read_whole`; where there is no such file, it is said which definition of the project may be meant."""
    meant = meant_file(frame, str(path))
    if meant:
        raise UsageError(f"there is no file {path}; {meant}")
    return read_whole(path)


def _child(folder: Path, name: str, version: int | None) -> Definition | None:
    """The definition of that saga in the folder: of that version, or the highest."""
    loaded = [load_file(file) for file in sorted(folder.glob("*.yaml"))]
    found = [one.definition for one in loaded if isinstance(one, Loaded) and one.definition.saga == name]
    wanted = [one for one in found if version is None or one.version == version]
    return max(wanted, key=lambda one: one.version, default=None)
