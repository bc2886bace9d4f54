"""Reads config.yaml into plain values with the position of each key.

Owns the YAML of the configuration. Knows no setting: names and types are `settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt

from saga_engine.errors import UsageError

Tree: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a key stands, both from 1."""

    line: int
    column: int


def read_config_file(path: Path) -> tuple[Tree, Mapping[tuple[str, ...], Position]]:
    """The values of the file and the position of each key and item.

    Raises `UsageError` when it cannot be read, is no YAML, is no mapping, or holds values that JSON has not.
    """
    try:
        # Round-trip mode: YAML 1.2 (`no` is text), duplicate keys are errors, and positions are kept.
        document: object = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 (byte {error.start})") from None
    except YAMLError as error:
        raise UsageError(_syntax(path, error)) from None
    if document is None:
        return {}, {}
    if not isinstance(document, CommentedMap):
        raise UsageError(f"{path.name}:1:1: must be a mapping of settings, as in `saga_engine: 1`")
    positions: dict[tuple[str, ...], Position] = {}
    tree = _plain(document, (), positions, path.name)
    assert isinstance(tree, dict)
    return tree, positions


def _syntax(path: Path, error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return f"{path.name}: is no YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    problem = " ".join(str(error.problem).split())
    return f"{path.name}:{mark.line + 1}:{mark.column + 1}: is no YAML: {problem}"


def _plain(value: object, place: tuple[str, ...], positions: dict[tuple[str, ...], Position], file: str) -> JsonValue:
    if isinstance(value, CommentedMap):
        mapping: Tree = {}
        for key, part in value.items():
            name = str(key)
            line, column = value.lc.key(key)
            positions[*place, name] = Position(line + 1, column + 1)
            mapping[name] = _plain(part, (*place, name), positions, file)
        return mapping
    if isinstance(value, CommentedSeq):
        items: list[JsonValue] = []
        for index, part in enumerate(value):
            line, column = value.lc.item(index)
            positions[*place, str(index)] = Position(line + 1, column + 1)
            items.append(_plain(part, (*place, str(index)), positions, file))
        return items
    if value is None or isinstance(value, bool):
        return value
    # The round-trip loader keeps how numbers and quoted text were written, in subclasses of the plain types.
    if isinstance(value, int | ScalarInt):
        return int(value)
    if isinstance(value, float | ScalarFloat):
        return float(value)
    if isinstance(value, str):
        return str(value)
    at = positions.get(place, Position(1, 1))
    kind = type(value).__name__
    raise UsageError(f"{file}:{at.line}:{at.column}: {'.'.join(place)}: {kind} is no value of JSON; write it in quotes")
