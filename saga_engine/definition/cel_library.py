"""The CEL library behind a guard: whatever it does, the outcome is a value or a refusal.

The only module that imports it, and only when first used: the import takes longer than validating a definition.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from saga_engine.definition.model import Json

if TYPE_CHECKING:
    from cel import Program as CelProgram

    Program: TypeAlias = CelProgram

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Library:
    """What is used of it."""

    compile: Callable[[str], Program]
    evaluate: Callable[[str, dict[str, Json]], object]


@dataclass(frozen=True, slots=True)
class Refused:
    """What the library said, on one line."""

    message: str


def compiled(text: str) -> Program | Refused:
    """The program of an expression."""

    def compile_text() -> Program:
        return _library().compile(text)

    return _guarded(compile_text)


def executed(program: Program, context: dict[str, Json]) -> object | Refused:
    """The result over a context; its type is the library's choice."""
    return _guarded(lambda: program.execute(context))


def search(pattern: str, text: str) -> bool | Refused:
    """Whether a pattern is found in a text, in linear time."""

    def matches() -> bool:
        return bool(_library().evaluate("text.matches(pattern)", {"text": text, "pattern": pattern}))

    return _guarded(matches)


@cache
def _library() -> Library:
    """The library without its command line, which it imports first of all: a sixth of the start of every process."""
    command_line = "cel.cli"
    instead = None if command_line in sys.modules else ModuleType(command_line)
    if instead is not None:
        sys.modules[command_line] = instead
    try:
        import cel
    finally:
        if instead is not None:
            del sys.modules[command_line]
    if instead is not None:
        # Whoever wants it finds nothing, and imports it.
        vars(cel).pop("cli", None)
    return Library(cel.compile, cel.evaluate)


def _guarded(call: Callable[[], Value]) -> Value | Refused:
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # a panic of the Rust library is a BaseException
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        # Without the library's drawing of the source, which follows the first line.
        return Refused((lines[0] if lines else type(error).__name__)[:300])
