"""What people type: durations, and JSON given in place, in a file or on stdin.

Owns these forms and the wording of mistakes in them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NoReturn, cast

import click

from saga_engine.definition.durations import EXPECTED, parse_duration
from saga_engine.definition.model import Json
from saga_engine.errors import UsageError


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

    Raises `UsageError` with line and column. A repeated key and NaN are mistakes here as everywhere.
    """
    source, content = _content(option, text)
    try:
        return cast(Json, json.loads(content, object_pairs_hook=_no_repeated_key, parse_constant=_no_such_number))
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{source}:{error.lineno}:{error.colno}: is no JSON: {error.msg}; {_example(option)}"
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"{source}: {reason}") from None


def _content(option: str, text: str) -> tuple[str, str]:
    if text == "-":
        return "stdin", sys.stdin.read()
    if not text.startswith("@"):
        return option, text
    path = Path(text[1:])
    try:
        return str(path), path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option} {text}: the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {text}: the file is not UTF-8 (byte {error.start})") from None


def _example(option: str) -> str:
    return f'expected as in {option} \'{{"order_id": "o-1"}}\', {option} @file.json or {option} -'


def _no_repeated_key(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{twice}" stands twice in one object')
    return found


def _no_such_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")
