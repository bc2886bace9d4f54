"""Starting sagas from lines of JSON, an input each, many in one commit; what has arrived is started, however little.

Owns how lines become commits, and which line had which outcome. Blocking; knows no terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, TypeAlias

from saga_engine.definition.inputs import MAX_TEXT, InputProblem, InputRejected, parse_json
from saga_engine.definition.model import Json
from saga_engine.orchestrator.client import Client
from saga_engine.orchestrator.starting import DefinitionChanged, StartOutcome

MOST_IN_A_COMMIT: Final = 500
_CHUNK: Final = 1 << 18

LineResult: TypeAlias = StartOutcome | InputRejected | DefinitionChanged


class Source(Protocol):
    """A stream of bytes."""

    def read1(self, size: int = ..., /) -> bytes:
        """What is there, at least one byte unless it has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its number, from 1."""

    number: int
    text: bytes


@dataclass(frozen=True, slots=True)
class LineStarted:
    """What became of a line."""

    number: int
    result: LineResult


def read_lines(source: Source) -> Iterator[Sequence[Line]]:
    """The lines that are not blank, as they arrive. One that is too long for an input is cut just past that length."""
    number, rest = 1, b""
    while chunk := source.read1(_CHUNK):
        *complete, rest = (rest + chunk).split(b"\n")
        yield [line for line in _numbered(number, complete) if line.text.strip()]
        number += len(complete)
        rest = rest[: MAX_TEXT + 1]
    if rest.strip():
        yield [Line(number, rest)]


def start_lines(
    client: Client,
    name: str,
    arriving: Iterable[Sequence[Line]],
    *,
    version: int | None = None,
    again: bool = False,
    traceparent: str | None = None,
) -> Iterator[Sequence[LineStarted]]:
    """Start a saga for each line; the outcomes of each commit, in the order of the lines.

    Raises as `Client.start`; what was yielded by then is done, and repeating it is safe where a key comes of the input.
    """
    for lines in arriving:
        for first in range(0, len(lines), MOST_IN_A_COMMIT):
            yield _commit(client, name, lines[first : first + MOST_IN_A_COMMIT], version, again, traceparent)


def _commit(
    client: Client, name: str, lines: Sequence[Line], version: int | None, again: bool, traceparent: str | None
) -> list[LineStarted]:
    read = [_object(line.text) for line in lines]
    inputs = [one for one in read if not isinstance(one, InputRejected)]
    starting = partial(client.start_many, name, version=version, again=again, traceparent=traceparent)
    outcomes = iter(starting(inputs) if inputs else ())
    return [
        LineStarted(line.number, one if isinstance(one, InputRejected) else next(outcomes))
        for line, one in zip(lines, read, strict=True)
    ]


def _object(text: bytes) -> Json | InputRejected:
    value = parse_json(text)
    if isinstance(value, InputRejected | dict):
        return value
    return InputRejected((InputProblem("E404", "$", "a line of input is a JSON object"),))


def _numbered(first: int, texts: Iterable[bytes]) -> Iterator[Line]:
    return (Line(number, text) for number, text in enumerate(texts, start=first))
