"""The project's definitions by the names that people give them, and which file is meant by a name that is none.

Owns the look at the files without the loader, which is slow to import. Reads no definition.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click

from saga_engine.cli.frame import Frame
from saga_engine.errors import UsageError
from saga_engine.project import definition_files


def defined(root: Path) -> Iterator[tuple[str, Path]]:
    """The saga that each file of the project defines, and the file: one for each version. Passes over what has none."""
    for file in definition_files(root):
        with suppress(OSError):
            found = re.search(r"^saga:\s*([a-z0-9_]+)", file.read_text(errors="replace"), re.MULTILINE)
            if found is not None:
                yield found[1], file


def meant_file(frame: Frame, given: str) -> str:
    """What to type instead, where no file has the path `given` but the project defines it; else nothing.

    It may be the name of a saga, or that of its file without the folder.
    """
    if os.path.exists(given):  # noqa: PTH110 - `Path.exists` raises for a name that no file can have
        return ""
    files = _files_named(frame, given)
    if not files:
        return ""
    verb = click.get_current_context().info_name
    commands = " or ".join(f"saga {verb} {os.path.relpath(file)}" for file in files)
    return f"the project has a definition of that name: {commands}"


def definition_meant(frame: Frame, given: str) -> str:
    """What to type instead, where a started saga is wanted and `given` is a definition or its name; else nothing."""
    # Not `Path.is_file`, which raises for a name that no file can have.
    is_file = given.endswith((".yaml", ".yml")) and os.path.isfile(given)  # noqa: PTH113 - for that reason
    files = [Path(given)] if is_file else _files_named(frame, given)
    if not files:
        return ""
    file = os.path.relpath(files[-1])
    verb = click.get_current_context().info_name
    return (
        f"{verb} wants the id or key of a saga that was started; of a definition, `saga verify {file}` explores every "
        f"failure, and `saga graph {file}` draws the way back"
    )


def _files_named(frame: Frame, given: str) -> list[Path]:
    """The files of the project that define a saga of that name, or are called so; outside a project none."""
    try:
        return [file for name, file in defined(frame.root()) if given in (name, file.stem, file.name)]
    except UsageError:
        return []
