"""How data is printed: text for people, JSON for programs; data on stdout, never wrapped, nothing that moves a cursor.

Owns the three formats and what is stripped. Knows no saga.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import click

if TYPE_CHECKING:
    from saga_engine.definition.model import Json

F = TypeVar("F", bound=Callable[..., object])

_INVISIBLE = "\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_HOSTILE = re.compile(f"[\x00-\x1f{_INVISIBLE}]")
_UNESCAPED = re.compile(f"[{_INVISIBLE}]")


class Format(StrEnum):
    """`json`: one document. `jsonl`: one line for each row."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with a colour or weight, both dropped where the terminal or NO_COLOR says so."""

    text: str
    colour: str | None = None
    bold: bool = False
    dim: bool = False


Part: TypeAlias = str | Styled


def output_option(function: F) -> F:
    """The option `-o text|json|jsonl` of all commands that print data; the parameter is `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([str(one) for one in Format]),
        default=str(Format.TEXT),
        callback=lambda _ctx, _param, value: Format(value),
        help="How data is printed. Default: text.",
    )(function)


def plain(text: str) -> str:
    """The text on one line without control and bidi characters, with which data could forge what a terminal shows."""
    return _HOSTILE.sub("", re.sub(r"[\t\r\n]+", " ", text))


def write(parts: Iterable[Part]) -> None:
    """One line of text; the parts are stripped of control characters before they are coloured."""
    click.echo("".join(_styled(part) for part in _without_trailing_blanks(parts)))


def _without_trailing_blanks(parts: Iterable[Part]) -> list[Part]:
    """What pads the last column, or an empty one, is seen by nobody but those who copy it."""
    kept = list(parts)
    while kept and not _text(kept[-1]).strip():
        kept.pop()
    if kept:
        last = kept[-1]
        kept[-1] = last.rstrip() if isinstance(last, str) else replace(last, text=last.text.rstrip())
    return kept


def write_table(header: Sequence[str], rows: Iterable[Sequence[Part]]) -> None:
    """Aligned columns under a header, a line each, two spaces apart."""
    for line in aligned(header, rows):
        write(line)


def aligned(header: Sequence[str], rows: Iterable[Sequence[Part]]) -> list[list[Part]]:
    """The lines of a table: columns under a header, two spaces apart."""
    from rich.cells import cell_len

    table: list[Sequence[Part]] = [[Styled(title, dim=True) for title in header], *rows]
    widths = [max(cell_len(plain(_text(row[column]))) for row in table) for column in range(len(header))]
    lines: list[list[Part]] = []
    for row in table:
        line: list[Part] = []
        for part, width in zip(row[:-1], widths, strict=False):
            line += [part, " " * (width - cell_len(plain(_text(part))) + 2)]
        lines.append([*line, row[-1]])
    return lines


def write_json(value: Json, output: Format) -> None:
    """One document: indented as `json`, on one line as `jsonl`."""
    click.echo(
        _UNESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False, indent=2 if output is Format.JSON else None))
    )


def write_rows(rows: Iterable[Mapping[str, Json]], output: Format) -> None:
    """Many objects: one array as `json`, a line each as `jsonl`."""
    if output is Format.JSON:
        write_json(list(rows), output)
        return
    for row in rows:
        write_json(row, Format.JSONL)


def brief_json(value: Json, limit: int = 120) -> str:
    """A value on one line, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def rfc3339(microseconds: int) -> str:
    """A time of the store as RFC 3339 in UTC, to the microsecond."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"


def _text(part: Part) -> str:
    return part if isinstance(part, str) else part.text


def _styled(part: Part) -> str:
    if isinstance(part, str):
        return plain(part)
    return click.style(plain(part.text), fg=part.colour, bold=part.bold or None, dim=part.dim or None)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
