"""One mapping of a definition whose keys are known, read key by key into typed values.

Owns unknown and missing keys, what a misspelt one was meant to be, and values that are absent. How a single value is
read is `reading`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeVar

from saga_engine.definition import reading, scalars
from saga_engine.definition.expressions import CompiledExpression
from saga_engine.definition.problems import PathPart, asked, near, nearest, shown
from saga_engine.definition.report import Report
from saga_engine.definition.tree import BrokenNode, Entry, MappingNode, Node, Position, Scalar

Choice = TypeVar("Choice", bound=StrEnum)

_ELSEWHERE: Final[Mapping[str, Sequence[str]]] = {
    "action": ("call",),
    "args": ("with",),
    "arguments": ("with",),
    "command": ("call",),
    "delay": ("sleep",),
    "depends_on": ("needs",),
    "id": ("step",),
    "name": ("step", "saga"),
    "on_failure": ("compensate",),
    "params": ("with",),
    "payload": ("with",),
    "revert": ("compensate",),
    "rollback": ("compensate",),
    "run": ("call",),
    "task": ("call",),
    "undo": ("compensate",),
    "when": ("if",),
}
"""What other languages call the keys of ours."""


def likely(key: str, known: Sequence[str]) -> str | None:
    """The known key that an unknown one probably stands for."""
    return next((word for word in _ELSEWHERE.get(key, ()) if word in known), None) or near(key, known)


class Section:
    """One mapping whose keys are known. Values that are absent or wrong come back as None, or as the given default."""

    def __init__(self, report: Report, node: MappingNode, path: tuple[PathPart, ...], what: str) -> None:
        self.report = report
        self.node = node
        self.path = path
        self.what = what
        self._misspelt: dict[str, Entry] = {}

    def _entry(self, key: str) -> Entry | None:
        written = next((entry for entry in self.node.entries if entry.key.text == key), None)
        return self._misspelt.get(key) if written is None else written

    @property
    def _name(self) -> str:
        """How it is called in a sentence: by the key that it stands under, if it stands under one."""
        under = self.path[-1] if self.path else None
        return f'"{under}"' if isinstance(under, str) else self.what

    def only(self, *known: str) -> None:
        """Note every other key, with the nearest known one."""
        for entry in self.node.entries:
            if entry.key.text not in known:
                self.unknown(entry, known)

    def unknown(self, entry: Entry, known: Sequence[str]) -> None:
        """Note a key that is not known.

        What stands under it is read as what was probably meant, so that nothing else is said because that is missing.
        """
        message = f"unknown key {shown(entry.key.text)} in {self._name}"
        meant = likely(entry.key.text, known)
        self.report.at(entry.key.at, "E111", message, "one of " + ", ".join(known), asked(meant))
        if meant is not None and not self.has(meant):
            self._misspelt[meant] = entry

    def has(self, key: str) -> bool:
        """Whether the key stands there, if need be misspelt."""
        return self._entry(key) is not None

    def at(self, key: str) -> Position:
        """Where a key stands; where it is absent, where the mapping begins."""
        entry = self._entry(key)
        return self.node.at if entry is None else entry.key.at

    def get(self, key: str) -> Node | None:
        """The value under a key, or None."""
        entry = self._entry(key)
        return None if entry is None else entry.value

    def require(self, key: str, expected: str) -> Node | None:
        """The value under a key that must be there."""
        if not self.has(key):
            self.report.at(self.node.at, "E112", f'{self._name} has no "{key}"', expected)
        return self.get(key)

    def section(self, key: str, what: str) -> Section | None:
        node = self.get(key)
        return None if node is None else section(self.report, node, (*self.path, key), what)

    def items(self, key: str, what: str) -> tuple[Node, ...] | None:
        """The elements of a list."""
        node = self.get(key)
        return None if node is None else reading.elements(self.report, node, what)

    def text(self, key: str) -> str | None:
        node = self.get(key)
        return None if node is None else reading.plain_text(self.report, node, f'the text of "{key}"')

    def name(self, key: str) -> str | None:
        node = self.get(key)
        return None if node is None else reading.name(self.report, node)

    def integer(self, key: str, low: int, high: int, code: str = "E121") -> int | None:
        """An integer within bounds; `code` for one that is not."""
        node = self.get(key)
        if not isinstance(node, Scalar):
            self._no_scalar(node, "an integer")
            return None
        value = scalars.integer(node)
        if isinstance(value, scalars.Unclear):
            self._unclear(node, value)
            return None
        if not low <= value <= high:
            self.report.at(node.at, code, f'"{key}" is {value}', f"an integer from {low} to {high}")
            return None
        return value

    def number(self, key: str, low: float, high: float, code: str) -> float | None:
        node = self.get(key)
        if not isinstance(node, Scalar):
            self._no_scalar(node, "a number")
            return None
        value = scalars.number(node)
        if isinstance(value, scalars.Unclear):
            self._unclear(node, value)
            return None
        if not low <= value <= high:
            self.report.at(node.at, code, f'"{key}" is {node.text}', f"a number from {low:g} to {high:g}")
            return None
        return float(value)

    def duration(self, key: str) -> int | None:
        """Microseconds, more than zero."""
        node = self.get(key)
        return None if node is None else reading.duration(self.report, node, key)

    def choice(self, key: str, choices: type[Choice]) -> Choice | None:
        node = self.get(key)
        text = None if node is None else reading.plain_text(self.report, node, "one of " + ", ".join(choices))
        if node is None or text is None:
            return None
        if text not in list(choices):
            hint = nearest(text, list(choices))
            self.report.at(node.at, "E123", f'"{key}" is {shown(text)}', "one of " + ", ".join(choices), hint)
            return None
        return choices(text)

    def expression(self, key: str) -> CompiledExpression | None:
        """A value with `${{ }}` anywhere in it."""
        node = self.get(key)
        return None if node is None else reading.expression(self.report, node, (*self.path, key))

    def _no_scalar(self, node: Node | None, expected: str) -> None:
        if node is not None and not isinstance(node, BrokenNode):
            self.report.at(node.at, "E110", f"found {reading.shape(node)}", expected)

    def _unclear(self, node: Node, unclear: scalars.Unclear) -> None:
        self.report.at(node.at, unclear.code, unclear.message, unclear.expected, unclear.suggestion)


def section(report: Report, node: Node, path: tuple[PathPart, ...], what: str) -> Section | None:
    """The node as a mapping, or None after noting that it is something else."""
    if isinstance(node, MappingNode):
        return Section(report, node, path, what)
    if not isinstance(node, BrokenNode):
        report.at(node.at, "E110", f"found {reading.shape(node)}", f"a mapping: {what}")
    return None
