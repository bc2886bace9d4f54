"""`saga validate`: checks definitions, all of them, and reports every mistake with its place."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_engine.cli.files import meant_file
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, output_option, write, write_rows
from saga_engine.definition.problems import Problem, Problems
from saga_engine.errors import SagaEngineError, UsageError
from saga_engine.plural import several
from saga_engine.project import DEFINITIONS, definition_files

if TYPE_CHECKING:
    from saga_engine.definition.catalogue import ParticipantCatalogue
    from saga_engine.definition.loader import Loaded
    from saga_engine.definition.model import Definition, Json


@click.command("validate")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--strict", is_flag=True, help="Check against the handlers too; exit with 1 on any warning.")
@output_option
@pass_frame
def validate(frame: Frame, files: tuple[str, ...], strict: bool, output: Format) -> None:
    """Check definitions and report every mistake.

    Without FILE, all definitions of the project are checked; `-` reads one from stdin. Exit code 2 if one is wrong.

    With --strict the handlers are imported, and definitions, wherever they stand, are checked by what these take and
    give: a misspelt key of a payload, a pivot whose handler has no database, and a command that none of them serves
    are warnings, the last unless the catalogue names the command as another project's. So is a version that was
    registered with other content; an embedded store is asked for that, of a server `saga doctor` tells it.
    """
    named = files or _all_definitions(frame)
    if strict:
        results = _against_store(frame, _against_handlers(frame, named))
    else:
        results = {name: _named(frame, name) for name in named}
    if output is Format.TEXT:
        for name, result in results.items():
            for line in _lines(name, result, strict):
                write(line)
    else:
        write_rows([_row(name, result) for name, result in results.items()], output)
    if any(isinstance(result, Problems) for result in results.values()):
        click.get_current_context().exit(2)
    if strict and any(result.warnings for result in results.values() if not isinstance(result, Problems)):
        click.get_current_context().exit(1)


def _against_handlers(frame: Frame, names: Sequence[str]) -> Mapping[str, Loaded | Problems]:
    """Checked by what the project's handlers take and give, with what none of them serves, wherever a file stands."""
    from saga_engine.bootstrap.served import project_catalogue, unserved, with_those_beside
    from saga_engine.definition.asked import commands_of
    from saga_engine.definition.loader import load_file

    root = frame.root()
    handlers = project_catalogue(root)
    known = {name: handlers if name == "-" else with_those_beside(handlers, Path(name).parent) for name in names}
    results = {name: _named(frame, name, catalogue) for name, catalogue in known.items()}
    # What is named takes the place of the project's own file of the same version.
    named = {os.path.realpath(name) for name in names}
    others = (load_file(path) for path in definition_files(root) if os.path.realpath(path) not in named)
    definitions: dict[tuple[str, int], Definition] = {}
    for one in (each.definition for each in (*results.values(), *others) if not isinstance(each, Problems)):
        definitions.setdefault((one.saga, one.version), one)
    called = frozenset[str]().union(*map(commands_of, definitions.values()))

    def checked(name: str, result: Loaded | Problems) -> Loaded | Problems:
        return result if isinstance(result, Problems) else unserved(result, known[name].commands.keys(), called)

    return {name: checked(name, result) for name, result in results.items()}


def _against_store(frame: Frame, results: Mapping[str, Loaded | Problems]) -> Mapping[str, Loaded | Problems]:
    """With a warning for each whose version the project's own store has with other content."""
    from saga_engine.bootstrap.changed import with_changed

    sound = {name: result for name, result in results.items() if not isinstance(result, Problems)}
    try:
        warned = with_changed(frame.settings(), list(sound.values()))
    except SagaEngineError as error:
        # Whether a definition is right does not hang on a configuration or a store that is not.
        click.echo(f"not compared with the registered definitions: {error}", err=True)
        return results
    return {**results, **dict(zip(sound, warned, strict=True))}


def _all_definitions(frame: Frame) -> list[str]:
    root = frame.root()
    found = definition_files(root)
    if not found:
        raise UsageError(f"{root / DEFINITIONS}: has no *.yaml; write a definition there, or name a file")
    here = Path.cwd()
    return [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in found]


def _named(frame: Frame, name: str, known: ParticipantCatalogue | None = None) -> Loaded | Problems:
    """As `_check`; where there is no such file, with the one of the project that may be meant."""
    result, meant = _check(name, known), "" if name == "-" else meant_file(frame, name)
    if not meant or not isinstance(result, Problems):
        return result
    return replace(result, problems=tuple(replace(one, suggestion=meant) for one in result.problems))


def _check(name: str, known: ParticipantCatalogue | None) -> Loaded | Problems:
    """`known`: what is known of commands; None: what the catalogue beside the file says."""
    from saga_engine.bootstrap.definitions import load_definition
    from saga_engine.definition.loader import load_file, load_text

    if name == "-":
        return load_text(sys.stdin.buffer.read(), "stdin", participants=known)
    return load_definition(Path(name)) if known is None else load_file(Path(name), participants=known)


def _lines(name: str, result: Loaded | Problems, strict: bool) -> list[list[Part]]:
    warnings: list[list[Part]] = [[Styled(f"{problem} (warning)", "yellow")] for problem in result.warnings]
    if isinstance(result, Problems):
        problems: list[list[Part]] = [[Styled(str(problem), "red")] for problem in result.problems]
        return [*problems, *warnings]
    definition = result.definition
    what = f"{definition.saga} version {definition.version}, {several(len(definition.steps), 'step')}"
    if strict and warnings:
        verdict = Styled(f"valid but for {several(len(warnings), 'warning')}, which --strict does not accept", "red")
    else:
        verdict = Styled("valid", "green")
    return [*warnings, [f"{name}: ", verdict, f": {what}"]]


def _row(name: str, result: Loaded | Problems) -> Mapping[str, Json]:
    definition = None if isinstance(result, Problems) else result.definition
    return {
        "file": name,
        "valid": definition is not None,
        "saga": None if definition is None else definition.saga,
        "version": None if definition is None else definition.version,
        "problems": [_problem(problem) for problem in result.problems] if isinstance(result, Problems) else [],
        "warnings": [_problem(problem) for problem in result.warnings],
    }


def _problem(problem: Problem) -> Mapping[str, Json]:
    return {
        "line": problem.line,
        "column": problem.column,
        "code": problem.code,
        "message": problem.message,
        "expected": problem.expected or None,
        "suggestion": problem.suggestion or None,
    }
