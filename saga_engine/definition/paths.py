"""Plain paths such as `steps.charge.result.items[0].id`: read from text, and followed through JSON values.

Owns the fast path of expressions, which needs no CEL. What it accepts means the same in CEL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from saga_engine.definition.model import ExpressionFailed, Json
from saga_engine.definition.problems import PathPart, path_text

Evaluate: TypeAlias = Callable[[Mapping[str, Json]], "Json | ExpressionFailed"]

RESERVED: Final = frozenset({"true", "false", "null", "in"})
"""Words that are no names in CEL, neither of a root nor of a field."""

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH: Final = re.compile(
    rf"\s*{_NAME}(?:\.{_NAME}|\[(?:0|[1-9][0-9]{{0,8}})\]|\[\"[^\"\\\n]*\"\]|\['[^'\\\n]*'\])*\s*", re.A
)
_PART: Final = re.compile(rf"({_NAME})|\[([0-9]+)\]|\[[\"']([^\"']*)[\"']\]", re.A)


def parse_path(expression: str) -> tuple[PathPart, ...] | None:
    """The keys and indexes of a plain path, or None when the expression is more than that."""
    if _PATH.fullmatch(expression) is None:
        return None
    parts: list[PathPart] = []
    for name, index, key in _PART.findall(expression):
        if name in RESERVED:
            return None
        parts.append(name or (int(index) if index else str(key)))
    return tuple(parts)


def follow(parts: tuple[PathPart, ...]) -> Evaluate:
    """A function from the roots to the value at the path."""
    if all(isinstance(part, str) for part in parts):
        names = tuple(str(part) for part in parts)
        return lambda roots: _follow_names(roots, names)
    return lambda roots: _follow_parts(roots, parts)


def _follow_names(roots: Mapping[str, Json], names: tuple[str, ...]) -> Json | ExpressionFailed:
    value: Json = roots
    try:
        for name in names:
            value = value[name]  # type: ignore[index,call-overload]  # what cannot be indexed raises TypeError
    except (KeyError, TypeError):
        return _follow_parts(roots, names)
    return value


def _follow_parts(roots: Mapping[str, Json], parts: tuple[PathPart, ...]) -> Json | ExpressionFailed:
    value: Json = roots
    for depth, part in enumerate(parts):
        if isinstance(part, str):
            if not isinstance(value, Mapping):
                return ExpressionFailed(f"{path_text(parts[:depth])} is {kind_of(value)} and has no field {part!r}")
            if part not in value:
                return ExpressionFailed(f"{path_text(parts[: depth + 1])} is not there")
            value = value[part]
        else:
            if not isinstance(value, list | tuple):
                return ExpressionFailed(f"{path_text(parts[:depth])} is {kind_of(value)} and not a list")
            if part >= len(value):
                return ExpressionFailed(f"{path_text(parts[:depth])} has {len(value)} elements and no [{part}]")
            value = value[part]
    return value


def kind_of(value: Json) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"
