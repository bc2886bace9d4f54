"""`saga participants`: the commands that the handlers execute, and the catalogue that definitions are checked with."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, output_option, write_rows, write_table
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError
from saga_engine.plural import several
from saga_engine.project import CATALOGUE, DEFINITIONS

if TYPE_CHECKING:
    from saga_engine.definition.catalogue import CommandEntry
    from saga_engine.participant.registry import MergedParticipant


@click.command("list")
@output_option
@pass_frame
def list_commands(frame: Frame, output: Format) -> None:
    """List the commands that the handlers execute.

    What each takes and gives, and whether it is fenced: its inbox shares the transaction of its effect.
    """
    from saga_engine.participant.catalogue import catalogue_of

    participants = _participants(frame)
    entries = catalogue_of(participants).commands
    places = {
        f"{one.name}.{command}": handler.place for one in participants for command, handler in one.handlers.items()
    }
    if output is Format.TEXT:
        rows = [
            (name, "yes" if entry.fenced else "no", _brief(entry.input), _brief(entry.result), _near(places[name]))
            for name, entry in sorted(entries.items())
        ]
        write_table(("COMMAND", "FENCED", "TAKES", "GIVES", "HANDLER"), rows)
        return
    write_rows([_row(name, entry, places[name]) for name, entry in sorted(entries.items())], output)


@click.command("export")
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Where to; `-` for stdout. Default: {DEFINITIONS}/{CATALOGUE} of the project.",
)
@pass_frame
def export(frame: Frame, target: Path | None) -> None:
    """Write what the handlers say about their commands to a file.

    Definitions beside that file are checked against it: unknown commands, payloads and paths into results. What it
    says of participants that have no handler here, since they are served elsewhere, stays.
    """
    from saga_engine.bootstrap.served import with_those_elsewhere
    from saga_engine.participant.catalogue import catalogue_of

    to_stdout = str(target) == "-"
    path = target if target is not None and not to_stdout else frame.root() / DEFINITIONS / CATALOGUE
    catalogue = with_those_elsewhere(catalogue_of(_participants(frame)), path)
    text = json.dumps(catalogue.to_json(), indent=2, ensure_ascii=False) + "\n"
    if to_stdout:
        click.echo(text, nl=False)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever reads it meanwhile finds the old one or the new one, never half of it.
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"--output {path}: cannot be written: {error.strerror}") from None
    click.echo(f"{_near(str(path))}: {several(len(catalogue.commands), 'command')}", err=True)


def _participants(frame: Frame) -> Sequence[MergedParticipant]:
    from saga_engine.handlers import load_participants
    from saga_engine.participant.registry import merge

    root = frame.root()
    found = list(merge(load_participants(root)).values())
    if not found:
        raise UsageError(f"{root}: has no handlers; write them in participants/ and compensations/")
    return found


def _row(name: str, entry: CommandEntry, place: str) -> Mapping[str, Json]:
    participant, _, command = name.partition(".")
    return {
        "participant": participant,
        "command": command,
        "fenced": entry.fenced,
        "input": entry.input,
        "result": entry.result,
        "handler": _near(place),
    }


def _brief(schema: Mapping[str, Json] | None) -> str:
    """A schema in a few words: its fields, or its type."""
    if schema is None:
        return "anything"
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and properties:
        return ", ".join(properties)
    return str(schema.get("type", "anything"))


def _near(place: str) -> str:
    """A place relative to the current folder, where it is below it."""
    here = f"{Path.cwd()}{os.sep}"
    return place.removeprefix(here)


@lazy_group(
    "participants",
    {
        "list": Lazy(f"{__name__}:list_commands", "List the commands that the handlers execute."),
        "export": Lazy(f"{__name__}:export", "Write what the handlers say about their commands to a file."),
    },
)
def participants() -> None:
    """List the participants' commands and export them."""
