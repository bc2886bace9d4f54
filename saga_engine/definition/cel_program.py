"""Evaluates the expressions that are more than a plain path, with the CEL library inside bounds of ours.

Owns what such an expression may cost and what its result may be: the library itself has no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from saga_engine.definition import cel_library
from saga_engine.definition.cel_library import Refused
from saga_engine.definition.cel_nodes import CelNode
from saga_engine.definition.cel_reads import Path, reads_of
from saga_engine.definition.model import ExpressionFailed, Json
from saga_engine.definition.paths import follow, kind_of
from saga_engine.definition.values import OutOfBoundsError, size_within

if TYPE_CHECKING:
    from saga_engine.definition.cel_library import Program

MAX_RESULT: Final = 64 * 1024
MAX_ELEMENTS: Final = 1_000
MAX_COST: Final = 8 << 20
"""How many bytes of values an expression may touch, counted as often as it names them."""
COPIES: Final = 8_000_000
"""A comprehension may copy half as many values while it collects its results: about a second."""


class CelExpression:
    """One expression. Thread-safe: a race compiles twice, to the same effect."""

    __slots__ = ("_over", "_program", "_reads", "_text")

    def __init__(self, text: str, node: CelNode) -> None:
        self._text = text
        self._reads = reads_of(node)
        self._program: Program | None = None
        self._over: Program | None = None

    def compile(self) -> str:
        """Have the library compile it; what it says against it, or nothing."""
        program = self._ready()
        return program.message if isinstance(program, Refused) else ""

    def evaluate(self, roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        """The value over the roots. Total: whatever the library does, the failure is a value."""
        program = self._ready()
        if isinstance(program, Refused):
            return self._failed(program.message)
        try:
            self._check_reads(roots)
            context = self._reads.context(roots)
            self._check_comprehension(roots, context)
            value = cel_library.executed(program, context)
            return self._failed(value.message) if isinstance(value, Refused) else _admitted(value)
        except OutOfBoundsError as error:
            return self._failed(str(error))

    def _failed(self, message: str) -> ExpressionFailed:
        return ExpressionFailed(f"{self._text.strip()}: {message}")

    def _ready(self) -> Program | Refused:
        if self._program is None:
            macro = self._reads.macro
            if macro is not None:
                over = cel_library.compiled(self._text[macro.target_start : macro.target_end])
                if isinstance(over, Refused):
                    return over
                self._over = over
            program = cel_library.compiled(self._text)
            if isinstance(program, Refused):
                return program
            self._program = program
        return self._program

    def _check_reads(self, roots: Mapping[str, Json]) -> None:
        """Refuse values that the library cannot hold, and more of them than an expression should touch."""
        if sum(_bytes(_at(path, roots)) for path in (*self._reads.once, *self._reads.each)) > MAX_COST:
            raise OutOfBoundsError("it works on too much data")

    def _check_comprehension(self, roots: Mapping[str, Json], context: dict[str, Json]) -> None:
        """Refuse a comprehension over anything but a short list, and one that would touch or copy too much.

        Over a list, since the order of a map's keys is not stable.
        """
        if self._over is None:
            return
        over = cel_library.executed(self._over, context)
        if isinstance(over, Refused):
            # It may stand in a branch that is not taken; where it is taken, it fails again there.
            return
        if not isinstance(over, list):
            raise OutOfBoundsError(f"a comprehension runs over a list, not over {_kind(over)}")
        items = len(over)
        if items > MAX_ELEMENTS:
            raise OutOfBoundsError(f"the list has {items} elements, a comprehension takes at most {MAX_ELEMENTS}")
        self._check_repetition(over, roots)

    def _check_repetition(self, over: list[Json], roots: Mapping[str, Json]) -> None:
        reads, items = self._reads, len(over)
        each = [_at(path, roots) for path in reads.each]
        own = [follow(path)({str(path[0]): item}) for path in reads.element for item in over]
        if items * sum(map(_bytes, each)) + sum(map(_bytes, own)) > MAX_COST:
            raise OutOfBoundsError("it works on too much data")
        # The library copies what it has collected for every further element: half the square of it in all.
        if reads.keeps and items * (items * (reads.builds + sum(map(_count, each))) + sum(map(_count, own))) > COPIES:
            raise OutOfBoundsError("it collects too many values; take fewer elements, or less of each")


def _at(path: Path, roots: Mapping[str, Json]) -> Json:
    value = follow(path)(roots)
    return None if isinstance(value, ExpressionFailed) else value


def _bytes(value: Json | ExpressionFailed) -> int:
    """About how long the value is as JSON. Raises OutOfBoundsError for what the library cannot hold."""
    return 0 if isinstance(value, ExpressionFailed) else MAX_COST - size_within(value, MAX_COST)


def _count(value: object) -> int:
    """How many single values a value is made of."""
    if isinstance(value, Mapping):
        return 1 + sum(_count(item) for item in value.values())
    if isinstance(value, list | tuple):
        return 1 + sum(_count(item) for item in value)
    return 1


def _kind(value: object) -> str:
    return kind_of(value) if value is None or isinstance(value, bool | int | float | str | dict) else "another type"


def _admitted(value: object) -> Json:
    """A result as the engine keeps it: JSON types only, keys in order, within bounds. Raises OutOfBoundsError."""
    size_within(value, MAX_RESULT)
    return _ordered(value)


def _ordered(value: object) -> Json:
    # The library gives the keys of a map in an order that differs from run to run.
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise OutOfBoundsError(f"a {type(value).__name__} is not a JSON value")
