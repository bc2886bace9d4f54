"""What people type: durations, and JSON given in place, in a file or on stdin.

Owns these forms and the wording of mistakes in them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from saga_engine.definition.durations import EXPECTED, parse_duration
from saga_engine.definition.inputs import InputRejected, parse_json
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError
from saga_engine.words import words_problem


class Words(click.ParamType[str]):
    """What a person writes for other people to read: not empty, bounded, and text that every store takes."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        problem = words_problem(value)
        if problem is not None:
            self.fail(problem, param, ctx)
        return value


class Duration(click.ParamType[int]):
    """A duration as in a definition (`500ms`, `30s`, `5m`), in microseconds."""

    name = "duration"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        microseconds = value if isinstance(value, int) else parse_duration(value)
        if microseconds is None:
            self.fail(f"{value!r}: expected {EXPECTED}", param, ctx)
        return microseconds


def read_json(option: str, text: str) -> Json:
    """The JSON that an option names: itself, `@file`, or `-` for stdin.

    Raises `UsageError` with every mistake. A repeated key and NaN are mistakes here as everywhere.
    """
    return parsed(option, *_content(option, text))


def parsed(option: str, source: str, content: bytes) -> Json:
    """The JSON that an option gave, read from `source`. Raises as `read_json`."""
    value = parse_json(content)
    if isinstance(value, InputRejected):
        raise UsageError("\n".join(f"{source}: {problem}; {_example(option)}" for problem in value.problems))
    return value


def _content(option: str, text: str) -> tuple[str, bytes]:
    if text == "-":
        return "stdin", sys.stdin.buffer.read()
    if not text.startswith("@"):
        # What the shell passed on undecodable comes back as the bytes it was.
        return option, os.fsencode(text)
    path = Path(text[1:])
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {text}: the file cannot be read: {error.strerror}") from None


def _example(option: str) -> str:
    return f'expected JSON, as in {option} \'{{"order_id": "o-1"}}\', {option} @file.json or {option} -'
