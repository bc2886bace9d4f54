"""Which commands an inbox protects, for `saga verify`, and who says so: handlers, the exported catalogue, or nobody.

Owns where that is looked for. What follows from it is the model checker's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from saga_engine.cli.frame import Frame
from saga_engine.cli.whole import Whole
from saga_engine.definition.catalogue import ParticipantCatalogue
from saga_engine.definition.model import Call
from saga_engine.errors import UsageError
from saga_engine.project import CATALOGUE, definition_files


@dataclass(frozen=True, slots=True)
class Fences:
    """What is known of handlers: `catalogue`, which `source` tells from where.

    `unfenced`: participants supposed to have no inbox.
    """

    catalogue: ParticipantCatalogue | None
    source: str
    unfenced: Set[str]

    def __call__(self, participant: str, command: str) -> bool:
        """Whether an inbox protects a command; one that nobody has described is taken to be protected."""
        entry = None if self.catalogue is None else self.catalogue.get(participant, command)
        return participant not in self.unfenced and (entry is None or entry.fenced)

    def told(self, calls: Iterable[Call]) -> Iterator[str]:
        """What this rests on, for the output: who says it, and the commands of which nobody does."""
        yield f"which handlers have a database: {self.source}"
        names = {f"{call.participant}.{call.command}" for call in calls if call.participant not in self.unfenced}
        unknown = sorted(names - (set() if self.catalogue is None else self.catalogue.commands.keys()))
        if unknown:
            supposed = "not described, so taken to have one; --unfenced PARTICIPANT supposes otherwise"
            yield f"{', '.join(unknown)}: {supposed}"


def known_fences(frame: Frame, path: Path, whole: Whole, unfenced: Set[str]) -> Fences:
    """By the project's handlers where `path` is a definition of it and they import, else by the catalogue beside it."""
    beside = "nobody says" if whole.catalogue is None else f"as {path.parent / CATALOGUE} says"
    root = _project_of(frame, path)
    if root is None:
        return Fences(whole.catalogue, beside, unfenced)
    # Imported here alone: a definition outside a project needs neither the SDK nor the database's libraries.
    from saga_engine.bootstrap.served import project_catalogue
    from saga_engine.handlers import load_participants

    try:
        if not load_participants(root):
            return Fences(whole.catalogue, beside, unfenced)
        elsewhere = "" if whole.catalogue is None else f", those elsewhere {beside}"
        own = f"as the project's own are written (an `async def` has none){elsewhere}"
        return Fences(project_catalogue(root), own, unfenced)
    except UsageError as error:
        why = " ".join(str(error).split())
        return Fences(whole.catalogue, f"{beside}; the project's own do not import: {why}", unfenced)


def _project_of(frame: Frame, path: Path) -> Path | None:
    """The project that has this file among its definitions."""
    try:
        root = frame.root()
    except UsageError:
        return None
    own = {file.resolve() for file in definition_files(root)}
    return root if path.resolve() in own else None
