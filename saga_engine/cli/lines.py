"""Whether an input that a person gives is one JSON document, or lines with a document each.

Owns how that is told apart. Starts nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from saga_engine.cli.arguments import parsed, read_json
from saga_engine.definition.inputs import MAX_TEXT, parse_json
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError

OPTION: Final = "--input"
_LINES: Final = (".jsonl", ".ndjson")


@dataclass(slots=True)
class Lines:
    """Inputs, a line each, from `name`. `size` in bytes, None when nobody knows; `done`: how many have been read."""

    name: str
    source: BinaryIO
    size: int | None
    first: bytes = b""
    done: int = 0

    def read1(self, size: int = -1, /) -> bytes:
        """What is there, at least one byte unless it has ended."""
        chunk, self.first = self.first or self.source.read1(size), b""  # type: ignore[attr-defined]  # a BufferedIOBase
        self.done += len(chunk)
        return chunk


@contextmanager
def given_input(text: str) -> Iterator[Json | Lines]:
    """The input that `--input` names: JSON in place, `@file`, or `-` for stdin; open for the while of the context.

    A file named *.jsonl or *.ndjson holds lines. Stdin does when its first line is an object and is not all there is.

    Raises UsageError for what cannot be read, or is no JSON.
    """
    if text == "-":
        yield _of_stdin(sys.stdin.buffer)
    elif text.startswith("@") and text.endswith(_LINES):
        path = Path(text[1:])
        try:
            file = path.open("rb")
        except OSError as error:
            raise UsageError(f"{OPTION} {text}: the file cannot be read: {error.strerror}") from None
        with file:
            yield Lines(str(path), file, os.fstat(file.fileno()).st_size)
    else:
        yield read_json(OPTION, text)


def _of_stdin(stdin: BinaryIO) -> Json | Lines:
    first = stdin.readline(MAX_TEXT + 1)
    if isinstance(parse_json(first), dict):
        while second := stdin.readline(MAX_TEXT + 1):
            first += second
            if second.strip():
                return Lines("stdin", stdin, None, first)
        return parsed(OPTION, "stdin", first)
    return parsed(OPTION, "stdin", first + stdin.read())
