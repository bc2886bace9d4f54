"""`saga definitions`: the definitions that the store knows and those of the project's files, and how two differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, Styled, output_option, plain, write, write_json, write_rows, write_table
from saga_engine.definition.model import Json
from saga_engine.definition.problems import Problems, nearest
from saga_engine.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from saga_engine.bootstrap.definitions import DefinitionFile
    from saga_engine.ports.store import DefinitionRecord

_BOTH: Final = "as registered"
_CHANGED: Final = "changed"
_NEW: Final = "not registered"
_STORE_ONLY: Final = "not in the project"
_COLOURS: Final = {_BOTH: "green", _CHANGED: "red", _NEW: "cyan", _STORE_ONLY: None}
_DIFF_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a saga: as the store has it, as a file of the project says it, or both."""

    saga: str
    version: int
    record: DefinitionRecord | None
    file: DefinitionFile | None

    @property
    def digest(self) -> str:
        """The hash of what is registered; of what the file says, where nothing is."""
        from saga_engine.definition.canonical import definition_hash

        if self.record is not None:
            return self.record.hash
        assert self.file is not None
        return definition_hash(self.file.definition)

    @property
    def state(self) -> str:
        from saga_engine.definition.canonical import definition_hash

        if self.file is None:
            return _STORE_ONLY
        if self.record is None:
            return _NEW
        return _BOTH if definition_hash(self.file.definition) == self.record.hash else _CHANGED

    def form(self) -> Mapping[str, Json]:
        """The language form: of what is registered, else of the file."""
        from saga_engine.definition.text import stored_form, written_form

        if self.record is not None:
            return stored_form(self.record.content)
        assert self.file is not None
        return written_form(self.file.definition)


@click.command("list")
@output_option
@pass_frame
def list_definitions(frame: Frame, output: Format) -> None:
    """List all definitions, in the store and in the project, and whether the two agree."""
    found = _known(frame)
    if output is not Format.TEXT:
        write_rows([_row(one) for one in found], output)
        return
    if not found:
        click.echo("No definitions found.", err=True)
        return
    rows = [
        (
            one.saga,
            str(one.version),
            one.digest[:12],
            Styled(one.state, _COLOURS[one.state]),
            "" if one.file is None else str(one.file.path),
        )
        for one in found
    ]
    write_table(("SAGA", "VERSION", "HASH", "STATE", "FILE"), rows)


@click.command("show")
@click.argument("name", metavar="NAME[@VERSION]")
@output_option
@pass_frame
def show(frame: Frame, name: str, output: Format) -> None:
    """Print a definition as it is stored, with every default filled in: YAML as text, else JSON.

    Without a version, the highest. What is not registered yet is taken from the project's file.
    """
    from saga_engine.definition.text import definition_yaml

    form = _find(_known(frame), name).form()
    if output is not Format.TEXT:
        write_json(form, output)
        return
    for line in definition_yaml(form).splitlines():
        click.echo(plain(line))


@click.command("diff")
@click.argument("before", metavar="NAME[@VERSION]")
@click.argument("after", metavar="[NAME[@VERSION]|FILE]", required=False)
@output_option
@pass_frame
def diff(frame: Frame, before: str, after: str | None, output: Format) -> None:
    """Show what differs between two definitions, defaults filled in, so that layout and comments do not count.

    Without the second, the project's own file of that saga: of the same version, or else of the highest.
    """
    from saga_engine.definition.text import differing_lines

    found = _known(frame)
    old = _find(found, before)
    new_name, new = _other(found, old, after)
    old_name = f"{old.saga}@{old.version}"
    lines = differing_lines(old.form(), new, old_name, new_name)
    if output is not Format.TEXT:
        write_json({"from": old_name, "to": new_name, "same": not lines, "diff": list(lines)}, output)
        return
    if not lines:
        click.echo(f"{old_name} and {new_name} say the same.", err=True)
    for line in lines:
        write([Styled(line, _DIFF_COLOURS.get(line[:1]))])


def _known(frame: Frame) -> Sequence[Known]:
    """Every version there is, by saga and version. Where there is no database yet, none is made: nothing is known."""
    from saga_engine.bootstrap.definitions import load_project
    from saga_engine.bootstrap.stores import is_there

    settings = frame.settings()
    files = {(one.definition.saga, one.definition.version): one for one in load_project(settings.root)}
    records: dict[tuple[str, int], DefinitionRecord] = {}
    if is_there(settings):
        with frame.client(settings) as client:
            records = {(one.saga, one.version): one for one in client.registered() if one.version is not None}
    return [Known(*place, records.get(place), files.get(place)) for place in sorted({*records, *files})]


def _find(found: Sequence[Known], text: str) -> Known:
    name, at, version = text.partition("@")
    versions = {one.version: one for one in found if one.saga == name}
    if at and not (version.isascii() and version.isdecimal()):
        raise UsageError(f"{text}: expected NAME, or NAME@ and a version, such as place_order@1")
    if not versions:
        names = sorted({one.saga for one in found})
        hint = nearest(name, names) or f"there are: {', '.join(names) or 'none'}"
        raise NotFoundError(f"no definition of a saga named {name!r}, neither in the store nor in the project; {hint}")
    wanted = int(version) if at else max(versions)
    if wanted not in versions:
        raise NotFoundError(f"saga {name!r} has no version {wanted}; it has: {', '.join(map(str, sorted(versions)))}")
    return versions[wanted]


def _other(found: Sequence[Known], old: Known, after: str | None) -> tuple[str, Mapping[str, Json]]:
    """The second definition of a diff, with the name that the diff gives to it."""
    from saga_engine.definition.text import written_form

    if after is None:
        own = {one.version: one.file for one in found if one.saga == old.saga and one.file is not None}
        if not own:
            raise NotFoundError(f"the project has no file that defines {old.saga}: name what to compare with")
        file = own.get(old.version) or own[max(own)]
        return str(file.path), written_form(file.definition)
    if after.endswith((".yaml", ".yml")) or "/" in after:
        return after, _of_file(Path(after))
    new = _find(found, after)
    return f"{new.saga}@{new.version}", new.form()


def _of_file(path: Path) -> Mapping[str, Json]:
    from saga_engine.bootstrap.definitions import load_definition
    from saga_engine.definition.text import written_form

    loaded = load_definition(path)
    if isinstance(loaded, Problems):
        raise UsageError(str(loaded))
    return written_form(loaded.definition)


def _row(one: Known) -> Mapping[str, Json]:
    return {
        "saga": one.saga,
        "version": one.version,
        "hash": one.digest,
        "registered": one.record is not None,
        "state": one.state,
        "file": None if one.file is None else str(one.file.path),
    }


@lazy_group(
    "definitions",
    {
        "list": Lazy(f"{__name__}:list_definitions", "List all definitions, in the store and in the project."),
        "show": Lazy(f"{__name__}:show", "Print a definition as it is stored."),
        "diff": Lazy(f"{__name__}:diff", "Show what differs between two definitions."),
    },
)
def definitions() -> None:
    """List, show and compare definitions."""
