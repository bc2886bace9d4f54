"""The project's own files: handlers that import, sound definitions, and that the two fit each other and the settings.

Asks no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from saga_engine.bootstrap.definitions import DefinitionFile, load_project
from saga_engine.bootstrap.served import catalogued, commands_served
from saga_engine.definition.asked import commands_of, meant_command
from saga_engine.doctor.finding import Finding, Severity, fine
from saga_engine.errors import SagaEngineError
from saga_engine.handlers import load_participants, load_projections
from saga_engine.participant.registry import MergedParticipant, merge
from saga_engine.plural import several
from saga_engine.project import CATALOGUE, DEFINITIONS
from saga_engine.projections.projection import Projection
from saga_engine.settings.settled import Settings


@dataclass(frozen=True, slots=True)
class Project:
    """What the files say. `participants` None: the handlers do not import, and nobody knows what they serve.

    `catalogued`: the commands that `participants.json` names, as `participant.command`.
    """

    settings: Settings
    participants: Mapping[str, MergedParticipant] | None
    definitions: Sequence[DefinitionFile]
    catalogued: Set[str] = frozenset()
    projections: Sequence[type[Projection]] = ()

    @property
    def served(self) -> Set[str]:
        """Every command that somebody is known to serve, as `participant.command`."""
        return commands_served(self.participants or {}, self.catalogued)

    @property
    def called(self) -> Set[str]:
        """Every command that a definition of now asks for, as `participant.command`."""
        return frozenset[str]().union(*(commands_of(file.definition) for file in self.definitions))


def read_project(settings: Settings) -> tuple[Project, Sequence[Finding]]:
    """Read all files; what cannot be read is a finding, and the rest is there."""
    findings: list[Finding] = []
    participants: Mapping[str, MergedParticipant] | None = None
    definitions: Sequence[DefinitionFile] = ()
    elsewhere: Set[str] = frozenset()
    projections: Sequence[type[Projection]] = ()
    try:
        participants = merge(load_participants(settings.root))
        findings.append(fine("handlers", "participants/, compensations/", several(len(participants), "participant")))
    except SagaEngineError as error:
        findings += _wrong("handlers", "participants/, compensations/", error, _NO_WORKER, "saga participants list")
    try:
        definitions = load_project(settings.root)
        findings.append(fine("definitions", f"{DEFINITIONS}/", several(len(definitions), "definition")))
    except SagaEngineError as error:
        findings += _wrong("definitions", f"{DEFINITIONS}/", error, _NO_START, f"saga validate {DEFINITIONS}/*.yaml")
    try:
        projections = list(load_projections(settings.root).values())
    except SagaEngineError as error:
        findings += _wrong("projections", "store/", error, _NO_VIEW, "saga projections list")
    try:
        elsewhere = catalogued(settings.root)
    except SagaEngineError as error:
        findings += _wrong("definitions", f"{DEFINITIONS}/{CATALOGUE}", error, _NO_START, "saga participants export")
    return Project(settings, participants, definitions, elsewhere, projections), findings


def unserved_in_files(project: Project) -> Iterator[tuple[DefinitionFile, str]]:
    """The commands that definitions ask for and no handler serves."""
    for file in project.definitions:
        for command in sorted(commands_of(file.definition) - project.served):
            yield file, command


def misfits(project: Project) -> Iterator[Finding]:
    """Commands that definitions ask for and no handler serves, and settings of participants that do not exist."""
    if project.participants is None:
        return
    for file, command in unserved_in_files(project):
        hint = meant_command(command, project.served, project.called)
        yield _unserved(project.participants, file, command, hint)
    for name in sorted(project.settings.participants.keys() - project.participants.keys()):
        yield Finding(
            "configuration",
            Severity.WARNING,
            f"participants.{name}",
            f"there are settings for a participant {name}, but no handler registers on that name",
            "Nobody uses them; where the name is misspelt, the real one has the defaults.",
            "saga participants list",
        )


def _unserved(participants: Mapping[str, MergedParticipant], file: DefinitionFile, command: str, hint: str) -> Finding:
    participant = command.partition(".")[0]
    here = participant in participants
    what = f"asks for {command}, which no handler serves"
    names = sorted(participants[participant].handlers if here else participants)
    known = f"{f'{participant} serves' if here else 'participants here are'} {', '.join(names) or 'none'}"
    return Finding(
        "commands",
        Severity.ERROR if here else Severity.WARNING,
        str(file.path),
        "; ".join(filter(None, (what, known, hint))),
        "A command without a handler is put back again and again, and its saga waits."
        if here
        else "Unless a worker outside this project serves it, its saga waits.",
        f"write a handler for {command} in participants/ or compensations/"
        if here
        else f"saga run --worker {participant} where it is, and name its commands in {DEFINITIONS}/{CATALOGUE}",
    )


def _wrong(check: str, where: str, error: SagaEngineError, why: str, next_: str) -> Iterator[Finding]:
    for line in str(error).splitlines():
        yield Finding(check, Severity.ERROR, where, line, why, next_)


_NO_WORKER = "No worker of this project starts."
_NO_VIEW = "`saga run` does not start without --orchestrator or --worker, and no read model is kept up to date."
_NO_START = "`saga run` does not start, and no saga can be started from here."
