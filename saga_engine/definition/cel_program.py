"""Evaluates the expressions that are more than a plain path, with the CEL library inside bounds of ours.

Owns the guards around the library: its cost, its panics, its types. The only module that imports it, and only when such
an expression is first compiled or evaluated: the import takes longer than validating a definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from saga_engine.definition.cel_ast import CelNode, Index, Literal, Macro, Name, Select, children, walk
from saga_engine.definition.model import ExpressionFailed, Json
from saga_engine.definition.paths import follow, kind_of
from saga_engine.definition.problems import PathPart
from saga_engine.definition.values import OutOfBoundsError, size_within

if TYPE_CHECKING:
    from cel import Program

MAX_RESULT: Final = 64 * 1024
MAX_ELEMENTS: Final = 1_000
MAX_COST: Final = 8 << 20
"""How many bytes of values an expression may touch, counted as often as it names them: the library has no limit."""


class CelExpression:
    """One expression. Thread-safe: a race compiles twice, to the same effect."""

    __slots__ = ("_macro", "_node", "_over", "_program", "_reads", "_roots", "_text")

    def __init__(self, text: str, node: CelNode) -> None:
        self._text = text
        self._node = node
        self._macro = next((found for found in walk(node) if isinstance(found, Macro)), None)
        self._reads = tuple(_reads(node, self._macro))
        self._roots = frozenset(str(path[0]) for path, _ in self._reads)
        self._program: Program | None = None
        self._over: Program | None = None

    def compile(self) -> str:
        """Have the library compile it; what it says against it, or nothing."""
        try:
            self._ready()
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  # a panic of the Rust library is a BaseException
            return _first_line(error)
        return ""

    def evaluate(self, roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        """The value over the roots. Total: whatever the library does, the failure is a value."""
        try:
            program = self._ready()
            context = {name: roots[name] for name in sorted(self._roots) if name in roots}
            self._check_cost(roots, self._items(context))
            return _admitted(program.execute(context))
        except OutOfBoundsError as error:
            return ExpressionFailed(f"{self._text.strip()}: {error}")
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  # a panic of the Rust library is a BaseException
            return ExpressionFailed(f"{self._text.strip()}: {_first_line(error)}")

    def _ready(self) -> Program:
        if self._program is None:
            import cel

            if self._macro is not None:
                self._over = cel.compile(self._text[self._macro.target_start : self._macro.target_end])
            self._program = cel.compile(self._text)
        return self._program

    def _items(self, context: dict[str, Json]) -> int:
        """Over how many elements the comprehension runs: a list only, since the library has no stable order of maps."""
        if self._over is None:
            return 1
        try:
            over = self._over.execute(context)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException:  # noqa: BLE001  # it may stand in a branch that is not taken; if not, it fails again there
            return 1
        if not isinstance(over, list):
            raise OutOfBoundsError(f"a comprehension runs over a list, not over {kind_of(over)}")
        if len(over) > MAX_ELEMENTS:
            raise OutOfBoundsError(f"the list has {len(over)} elements, a comprehension takes at most {MAX_ELEMENTS}")
        return len(over)

    def _check_cost(self, roots: Mapping[str, Json], items: int) -> None:
        left = MAX_COST
        for path, repeated in self._reads:
            value = follow(path)(roots)
            if not isinstance(value, ExpressionFailed):
                size = MAX_COST - size_within(value, MAX_COST)
                left -= size * (items if repeated else 1)
                if left < 0:
                    raise OutOfBoundsError("it works on too much data")


def search(pattern: str, text: str) -> bool | str:
    """Whether a pattern is found in a text, in linear time; a message when it is no pattern of that kind."""
    import cel

    try:
        return bool(cel.evaluate("text.matches(pattern)", {"text": text, "pattern": pattern}))
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of the Rust library is a BaseException
        return _first_line(error)


def _reads(node: CelNode, macro: Macro | None) -> list[tuple[tuple[PathPart, ...], bool]]:
    """The longest plain paths that are read, and whether a comprehension does so for every element.

    The element itself counts as a read of the whole list, once for each place that names it.
    """
    reads: list[tuple[tuple[PathPart, ...], bool]] = []

    def visit(node: CelNode, repeated: bool) -> None:
        path = static_path(node)
        if path is None:
            inner = macro.body if isinstance(node, Macro) and macro is not None else ()
            for child in children(node):
                visit(child, repeated or any(child is part for part in inner))
        elif macro is not None and repeated and path[0] == macro.variable:
            visit(macro.target, False)
        else:
            reads.append((path, repeated))

    visit(node, False)
    return reads


def static_path(node: CelNode) -> tuple[PathPart, ...] | None:
    """The path that a node spells out, such as `steps.a.result[0]`, or None when it is anything else."""
    match node:
        case Name(name=name):
            return (name,)
        case Select(of=of, field=field):
            above = static_path(of)
            return None if above is None else (*above, field)
        case Index(of=of, index=Literal(value=str() | int() as key)) if not isinstance(key, bool):
            above = static_path(of)
            return None if above is None or (isinstance(key, int) and key < 0) else (*above, key)
        case _:
            return None


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


def _first_line(error: BaseException) -> str:
    """The library's message, without its drawing of the source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
