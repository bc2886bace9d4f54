"""Histories as JSON lines: written by one process each, merged afterwards.

Owns the file format: a line per record, its class name under `record`. Knows no checker.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, get_args

import orjson
from pydantic import TypeAdapter, ValidationError

from saga_engine.audit.history import Record
from saga_engine.errors import UsageError

_ADAPTERS: Final[Mapping[str, TypeAdapter[Record]]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Record)}


class HistoryError(UsageError):
    """A line of a history file is no record."""


def encode(record: Record) -> bytes:
    """One line, without its end."""
    return orjson.dumps({"record": type(record).__name__, "value": record})


def decode(line: bytes) -> Record:
    """The record of one line.

    Raises:
        HistoryError: it is no record of this format.
    """
    try:
        raw = orjson.loads(line)
        return _ADAPTERS[raw["record"]].validate_python(raw["value"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise HistoryError(f"not a record of a history ({error}): {line[:200]!r}") from error


class Writer:
    """Appends records to a file, each in one write, so that a process that is killed leaves whole lines behind it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, record: Record) -> None:
        self._file.write(encode(record) + b"\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path) -> Iterator[Record]:
    """The records of one file. A last line without its end is left out: its writer was killed while writing it.

    Raises:
        HistoryError: a whole line is no record; it says which.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode(line)
            except HistoryError as error:
                raise HistoryError(f"{path}:{number}: {error}") from error


def merge(paths: Sequence[Path]) -> Iterator[Record]:
    """The records of several files in the order of what they carry: `order`, or else the time.

    Streams: each file is read once, and must be in order itself, as its writer was. Records without either (stored
    rows) stand where their file has them.
    """
    return (record for _, _, record in heapq.merge(*(_placed(i, read(path)) for i, path in enumerate(paths)), key=_key))


def _placed(file: int, records: Iterable[Record]) -> Iterator[tuple[int, int, Record]]:
    place = 0
    for record in records:
        own = getattr(record, "order", None)
        at = own if isinstance(own, int) else getattr(record, "at", place)
        place = max(place, at)
        yield place, file, record


def _key(placed: tuple[int, int, Record]) -> tuple[int, int]:
    return placed[:2]
