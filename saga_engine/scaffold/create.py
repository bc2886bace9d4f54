"""Makes a new project out of the template: what its name may be, where it may go, which files it gets.

Owns no file's content: that stands in `template/`, a project that runs as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

from saga_engine.definition.schema import language_schema
from saga_engine.errors import UsageError
from saga_engine.project import DEFINITIONS

SCHEMA: Final = f"{DEFINITIONS}/saga.schema.json"
"""For editors: the definition language of this release, which the first line of a definition points at."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_EXPECTED: Final = "a letter, then letters, digits, `-` and `_`, at most 63"
_NAMED: Final = "README.md"
_RENAMED: Final = {"gitignore": ".gitignore"}
"""By their own names these would have a meaning where the template stands."""


def create(folder: Path) -> list[str]:
    """Write a new project into `folder`, whose last name is the project's; the files written, by path in it.

    Whatever is hidden (`.git`, `.venv`) may be there already.

    Raises:
        UsageError: the name is none, or the folder is a file, holds something, or cannot be written.
    """
    target = folder.resolve()
    if not _NAME.fullmatch(target.name):
        raise UsageError(f"{str(folder)!r}: {target.name!r} is no name for a project; expected {_EXPECTED}")
    content = dict(_content(target.name))
    _check_free(folder, target, content)
    try:
        for name, text in content.items():
            file = target / name
            file.parent.mkdir(parents=True, exist_ok=True)
            # "x": what somebody else puts there meanwhile is not overwritten either.
            with file.open("x", encoding="utf-8", newline="\n") as opened:
                opened.write(text)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return list(content)


def _check_free(folder: Path, target: Path, content: Mapping[str, str]) -> None:
    try:
        there = sorted(entry.name for entry in target.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise UsageError(f"{folder}: is a file; give the name of a folder that is new or empty") from None
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read: {error.strerror}") from None
    in_the_way = [name for name in there if not name.startswith(".") or name in content]
    if in_the_way:
        more = f" and {len(in_the_way) - 3} more" if len(in_the_way) > 3 else ""
        raise UsageError(
            f"{folder}: is not empty, it has {', '.join(in_the_way[:3])}{more}; "
            "nothing was written: give the name of a folder that is new or empty"
        )


def _content(name: str) -> Iterator[tuple[str, str]]:
    """The files of a project of that name: path in it, text."""
    for path, text in _files(files(__package__) / "template", ""):
        yield path, Template(text).substitute(name=name) if path == _NAMED else text
    yield SCHEMA, f"{json.dumps(language_schema(), ensure_ascii=False, indent=2)}\n"


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        # An installer compiles what it installs, and tools leave their caches behind.
        if entry.name.startswith((".", "__pycache__")):
            continue
        place = f"{path}{_RENAMED.get(entry.name, entry.name)}"
        if entry.is_dir():
            yield from _files(entry, f"{place}/")
        else:
            yield place, entry.read_text(encoding="utf-8")
