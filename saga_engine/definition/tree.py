"""The positioned tree of a definition: mappings, sequences and scalars as text, each with its line and column.

Owns positions, also inside a scalar. Types nothing and knows no rule of the language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.definition.problems import PathPart
from saga_engine.definition.scan import Token, TokenKind


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands, counted from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as text. `plain`: without quotes, so that its type is for the schema to tell."""

    at: Position
    text: str
    plain: bool
    raw: str = ""


@dataclass(frozen=True, slots=True)
class SequenceNode:
    at: Position
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class MappingNode:
    at: Position
    entries: tuple[Entry, ...]

    def get(self, key: str) -> Node | None:
        """The value under a key, or None."""
        return next((entry.value for entry in self.entries if entry.key.text == key), None)


@dataclass(frozen=True, slots=True)
class BrokenNode:
    """A node that was complained about already; whoever expects a value here stays silent."""

    at: Position


Node: TypeAlias = Scalar | SequenceNode | MappingNode | BrokenNode


def build(tokens: Sequence[Token]) -> Node:
    """The tree of one document. Entries whose key is broken are left out."""
    return _Builder(tokens).node()


class _Builder:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = iter(tokens)

    def node(self) -> Node:
        return self._from(next(self._tokens))

    def _from(self, token: Token) -> Node:
        at = Position(token.line, token.column)
        match token.kind:
            case TokenKind.SCALAR:
                return Scalar(at, token.text, token.plain, token.raw)
            case TokenKind.SEQUENCE:
                return SequenceNode(at, tuple(self._items()))
            case TokenKind.MAPPING:
                return MappingNode(at, tuple(self._entries()))
            case _:
                return BrokenNode(at)

    def _items(self) -> list[Node]:
        items: list[Node] = []
        while (token := next(self._tokens)).kind is not TokenKind.END:
            items.append(self._from(token))
        return items

    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        while (token := next(self._tokens)).kind is not TokenKind.END:
            key, value = self._from(token), self.node()
            if isinstance(key, Scalar):
                entries.append(Entry(key, value))
        return entries


def locate(root: Node, path: Sequence[PathPart]) -> Position:
    """Where the value at a path stands; where the path ends early, the place of the nearest thing above it.

    A path that ends in a key marks the value, so that a wrong value is pointed at and not its name.
    """
    node = root
    for part in path:
        child: Node | None = None
        if isinstance(node, MappingNode) and isinstance(part, str):
            child = node.get(part)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
            child = node.items[part]
        if child is None:
            break
        node = child
    return node.at


def inside(scalar: Scalar, occurrence: int, offset: int, expression: str) -> Position:
    """Where character `offset` of the scalar's n-th `${{ }}` stands, counted from after its `${{`.

    Escapes and folded lines move characters: where the source does not show the expression letter by letter, the place
    of its `${{` is given, and where even that is written by an escape, the place of the scalar.
    """
    index = -1
    for _ in range(occurrence + 1):
        index = scalar.raw.find("${{", index + 1)
        if index < 0:
            return scalar.at
    found = _aligned(scalar.raw, index + 3, expression[: max(offset, 0)])
    return _moved(scalar.at, scalar.raw[: index if found is None or offset < 0 else found])


def _aligned(raw: str, start: int, passed: str) -> int | None:
    """Where the next word stands in the source behind `passed`; folded lines may have more white space there."""
    position = start
    for char in passed:
        while position < len(raw) and raw[position] != char and raw[position].isspace():
            position += 1
        if position < len(raw) and raw[position] == char:
            position += 1
        elif not char.isspace():
            return None
    while position < len(raw) and raw[position].isspace():
        position += 1
    return position


def _moved(start: Position, passed: str) -> Position:
    lines = passed.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) == 1:
        return Position(start.line, start.column + len(lines[0]))
    return Position(start.line + len(lines) - 1, len(lines[-1]) + 1)
