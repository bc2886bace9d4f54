"""Which commands somebody is known to serve, and which of a definition nobody is: by the handlers, which are imported.

Owns what counts as served. Asks no worker: `saga doctor` knows who lives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import structlog

from saga_engine.bootstrap.definitions import DefinitionFile
from saga_engine.definition.asked import commands_of, meant_command
from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue, load_catalogue
from saga_engine.definition.loader import Loaded
from saga_engine.definition.model import Call, Definition
from saga_engine.definition.problems import Finding, Problem
from saga_engine.errors import UsageError
from saga_engine.handlers import load_participants
from saga_engine.participant.catalogue import catalogue_of
from saga_engine.participant.registry import MergedParticipant, merge
from saga_engine.project import CATALOGUE, DEFINITIONS

_log = structlog.get_logger(__name__)


def commands_served(here: Mapping[str, MergedParticipant], elsewhere: Set[str]) -> Set[str]:
    """Every command that somebody is known to serve, as `participant.command`. `elsewhere`: what the catalogue names.

    Of participants that are here by their handlers alone: the catalogue may be older than they are.
    """
    own = {f"{one.name}.{command}" for one in here.values() for command in one.handlers}
    return own | {command for command in elsewhere if command.partition(".")[0] not in here}


def project_catalogue(root: Path) -> ParticipantCatalogue:
    """What the project's handlers serve and take, and what its catalogue says of workers elsewhere.

    Raises `UsageError` for handlers that do not import and for a catalogue that is not of its form.
    """
    exported = catalogue_of(merge(load_participants(root)).values(), lenient=True)
    return _with_others(exported, _known(root / DEFINITIONS / CATALOGUE))


def with_those_beside(catalogue: ParticipantCatalogue, folder: Path) -> ParticipantCatalogue:
    """The project's, with what a catalogue in a definition's own folder says of participants that it does not know.

    Raises `UsageError` for one that is not of its form.
    """
    return _with_others(catalogue, _known(folder / CATALOGUE))


def catalogued(root: Path) -> Set[str]:
    """The commands that the project's catalogue names, if there is one. Raises `UsageError` for one of another form."""
    return _known(root / DEFINITIONS / CATALOGUE).keys()


def with_those_elsewhere(exported: ParticipantCatalogue, path: Path) -> ParticipantCatalogue:
    """What the handlers say, with what the catalogue at `path` says of participants that are not among them."""
    try:
        return _with_others(exported, _known(path))
    except UsageError:
        # A file that nobody can read is what an export is to replace.
        return exported


def _known(path: Path) -> Mapping[str, CommandEntry]:
    # Not `Path.is_file`, which raises for a folder that cannot be or must not be looked into.
    return load_catalogue(path).commands if os.path.isfile(path) else {}  # noqa: PTH113 - for that reason


def _with_others(exported: ParticipantCatalogue, known: Mapping[str, CommandEntry]) -> ParticipantCatalogue:
    here = exported.participants()
    elsewhere = {name: entry for name, entry in known.items() if name.partition(".")[0] not in here}
    return ParticipantCatalogue({**exported.commands, **elsewhere})


def unserved(loaded: Loaded, served: Set[str], called: Set[str]) -> Loaded:
    """With a warning for each place where the definition asks for a command that nobody is known to serve.

    It takes the place of what was said by a catalogue, which may be older than the handlers. `called`: what the
    project's definitions ask for, of which none is suggested instead.
    """
    others = (one for one in loaded.warnings if one.code != _CODE)
    return replace(loaded, warnings=tuple(sorted({*others, *_all_unserved(loaded, served, called)})))


def tell_unserved(files: Sequence[DefinitionFile], served: Set[str]) -> None:
    """Log each command that nobody is known to serve, before a saga waits for it: no error, it may be elsewhere."""
    called = frozenset[str]().union(*(commands_of(file.definition) for file in files))
    for problem in (one for file in files for one in _all_unserved(file.loaded, served, called)):
        _log.warning(
            f"{problem.message}: the sagas that ask for it will wait",
            where=f"{problem.file}:{problem.line}:{problem.column}",
            next=" Else ".join(filter(None, (problem.suggestion, f"write {problem.expected}"))),
        )


_CODE = "W303"
_EXPECTED = f"a handler in participants/ or compensations/, or its name in {DEFINITIONS}/{CATALOGUE} if it is elsewhere"


def _all_unserved(loaded: Loaded, served: Set[str], called: Set[str]) -> Sequence[Problem]:
    return loaded.place(_findings(loaded.definition, served, called)).problems


def _findings(definition: Definition, served: Set[str], called: Set[str]) -> Iterator[Finding]:
    for index, step in enumerate(definition.steps):
        call = step.action if isinstance(step.action, Call) else None
        for asked, path in ((call, ()), (call and call.compensation, ("compensate",))):
            if asked is None or f"{asked.participant}.{asked.command}" in served:
                continue
            name = f"{asked.participant}.{asked.command}"
            place = ("steps", index, *path, "call")
            yield Finding(_CODE, place, f"no handler serves {name}", _EXPECTED, meant_command(name, served, called))
