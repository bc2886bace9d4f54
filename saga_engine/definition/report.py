"""Collects the problems and warnings of one file while it is read, and finds the place of each in the tree.

Owns how a path, or a character inside an expression, becomes a line and a column. Knows no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from saga_engine.definition.problems import Finding, PathPart, Problem
from saga_engine.definition.tree import MappingNode, Node, Position, Scalar, SequenceNode, inside, locate


class Report:
    """The problems and warnings of one file, and its tree, in which places are looked up."""

    def __init__(self, file: str, root: Node, problems: Iterable[Problem] = ()) -> None:
        self.file = file
        self.root = root
        self.problems: list[Problem] = list(problems)
        self.warnings: list[Problem] = []

    def at(self, place: Position, code: str, message: str, expected: str = "", suggestion: str = "") -> None:
        """Note a problem at a position."""
        self.problems.append(Problem(place.line, place.column, code, message, self.file, expected, suggestion))

    def add(self, finding: Finding, *, warning: bool = False) -> None:
        """Note a finding, at the place of its path."""
        self._add(finding, locate(self.root, finding.path), warning)

    def add_inside(
        self,
        finding: Finding,
        inner: Sequence[PathPart],
        occurrence: int,
        offset: int,
        text: str,
        warning: bool = False,
    ) -> None:
        """Note a finding at character `offset` after the n-th `${{` of the scalar `inner` below the finding's path."""
        path = (*finding.path, *inner)
        node = _node_at(self.root, path)
        place = inside(node, occurrence, offset, text) if isinstance(node, Scalar) else locate(self.root, path)
        self._add(finding, place, warning)

    def _add(self, finding: Finding, place: Position, warning: bool) -> None:
        message = finding.message
        if finding.related is not None:
            path, what = finding.related
            message += f" ({what} at line {locate(self.root, path).line})"
        problem = Problem(
            place.line, place.column, finding.code, message, self.file, finding.expected, finding.suggestion
        )
        (self.warnings if warning else self.problems).append(problem)

    def has(self, path: Sequence[PathPart]) -> bool:
        """Whether the author wrote something at this path."""
        return _node_at(self.root, path) is not None


def _node_at(root: Node, path: Sequence[PathPart]) -> Node | None:
    node: Node | None = root
    for part in path:
        if isinstance(node, MappingNode) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node
