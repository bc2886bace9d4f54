"""Texts with `${{ }}` in them, split into what stands as it is and what is to be evaluated.

Owns where an expression begins and ends, the literal `$${{`, and the text form of values in mixed text. Reads no
expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from saga_engine.definition.cel_tokens import STRING
from saga_engine.definition.model import Json
from saga_engine.definition.values import canonical_json

OPEN: Final = "${{"
_STRING: Final = re.compile(STRING, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Leaf:
    """The text between `${{` and `}}`, and the how-manieth `${{` of the whole text it follows (escaped ones count)."""

    text: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Unclosed:
    """A `${{` without its `}}`."""

    occurrence: int


def split(text: str) -> tuple[str | Leaf, ...] | Unclosed:
    """The pieces of a text in order; a text without `${{` is one piece, also when it is empty."""
    pieces: list[str | Leaf] = []
    literal, position, occurrence = "", 0, 0
    while (start := text.find(OPEN, position)) >= 0:
        if start > position and text[start - 1] == "$":
            literal += text[position : start - 1] + OPEN
            position = start + len(OPEN)
        else:
            literal += text[position:start]
            end = _end(text, start + len(OPEN))
            if end is None:
                return Unclosed(occurrence)
            if literal:
                pieces.append(literal)
            literal = ""
            expression = text[start + len(OPEN) : end]
            pieces.append(Leaf(expression, occurrence))
            occurrence += expression.count(OPEN)
            position = end + 2
        occurrence += 1
    literal += text[position:]
    if literal or not pieces:
        pieces.append(literal)
    return tuple(pieces)


def _end(text: str, position: int) -> int | None:
    """Where the `}}` stands that closes an expression: not in a string, not the end of a map."""
    depth = 0
    while position < len(text):
        char = text[position]
        if char in "\"'rR" and (string := _STRING.match(text, position)):
            position = string.end()
            continue
        if char == "}" and depth == 0 and text.startswith("}}", position):
            return position
        depth += (char == "{") - (char == "}" and depth > 0)
        position += 1
    return None


def as_text(value: Json) -> str:
    """How a value stands in mixed text: a string as it is, the rest as JSON."""
    return value if isinstance(value, str) else canonical_json(value).decode()
