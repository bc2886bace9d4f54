"""What an expression reads: plain paths, how often a comprehension repeats each, and how much it builds per element.

Owns this bookkeeping over the tree, for the bounds of `cel_program` and for static checks. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.definition.cel_nodes import (
    Call,
    CelNode,
    Elements,
    Fields,
    Index,
    Literal,
    Macro,
    Name,
    Select,
    children,
    walk,
)
from saga_engine.definition.model import Json
from saga_engine.definition.problems import PathPart

Path: TypeAlias = "tuple[PathPart, ...]"


@dataclass(frozen=True, slots=True)
class Reads:
    """`once`: paths read outside of the comprehension; `each`: inside, for every element.

    `element`: paths from the element, a place each; `builds`: how many values the body writes down; `keeps`:
    whether what the body gives is collected. The library copies the collection for every element.
    """

    macro: Macro | None
    once: tuple[Path, ...]
    each: tuple[Path, ...]
    element: tuple[Path, ...]
    builds: int
    keeps: bool

    def context(self, roots: Mapping[str, Json]) -> dict[str, Json]:
        """The part of the roots that is read: the library converts all that it is given."""
        context: dict[str, Json] = {}
        for path in _shortest([*self.once, *self.each]):
            _copy_path(path, roots, context)
        return context


def static_path(node: CelNode) -> Path | None:
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


def reads_of(node: CelNode) -> Reads:
    """The bookkeeping for a whole expression."""
    macro = next((found for found in walk(node) if isinstance(found, Macro)), None)
    each: list[Path] = []
    element: list[Path] = []
    builds = 0
    body = macro.body if macro is not None else ()
    for part in body:
        for path in _paths(part):
            if macro is not None and path[0] == macro.variable:
                element.append(path)
            else:
                each.append(path)
        builds += sum(isinstance(found, Elements | Fields | Literal | Call) for found in walk(part))
    once = _paths(node, without=body)
    keeps = macro is not None and macro.function in ("map", "filter")
    return Reads(macro, tuple(once), tuple(each), tuple(element), builds, keeps)


def _paths(node: CelNode, without: tuple[CelNode, ...] = ()) -> list[Path]:
    """The longest plain paths below a node."""
    path = static_path(node)
    if path is not None:
        return [path]
    inner = [child for child in children(node) if not any(child is part for part in without)]
    return [path for child in inner for path in _paths(child, without)]


def _shortest(paths: list[Path]) -> list[tuple[str, ...]]:
    """The paths up to their first index, without those that another one covers."""
    names = set()
    for path in paths:
        end = next((place for place, part in enumerate(path) if isinstance(part, int)), len(path))
        names.add(tuple(str(part) for part in path[:end]))
    return [path for path in sorted(names) if not any(path[:end] in names for end in range(1, len(path)))]


def _copy_path(path: tuple[str, ...], source: Mapping[str, Json], target: dict[str, Json]) -> None:
    """Copy what is at a path, as far as it goes, so that the same thing is missing as in the source."""
    for depth, name in enumerate(path):
        if name not in source:
            return
        value = source[name]
        if depth == len(path) - 1 or not isinstance(value, Mapping):
            target[name] = value
            return
        inner = target.setdefault(name, {})
        assert isinstance(inner, dict)
        source, target = value, inner
