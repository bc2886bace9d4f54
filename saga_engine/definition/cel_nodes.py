"""The tree of a CEL expression: its nodes, each with the offset where it stands, and ways to go through them.

Owns shapes only. How a text becomes a tree is `cel_parser`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from saga_engine.definition.model import Json


@dataclass(frozen=True, slots=True)
class Literal:
    at: int
    value: Json


@dataclass(frozen=True, slots=True)
class Name:
    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`of.field`; `at` is where the field's name stands."""

    at: int
    of: CelNode
    field: str


@dataclass(frozen=True, slots=True)
class Index:
    """`of[index]`; `at` is where the index stands."""

    at: int
    of: CelNode
    index: CelNode


@dataclass(frozen=True, slots=True)
class Call:
    """A function, or with a target a method. `at` is where its name stands."""

    at: int
    function: str
    target: CelNode | None
    arguments: tuple[CelNode, ...]


@dataclass(frozen=True, slots=True)
class Macro:
    """A comprehension over a list. `target_start`, `target_end`: the source text of what it runs over."""

    at: int
    function: str
    target: CelNode
    variable: str
    body: tuple[CelNode, ...]
    target_start: int
    target_end: int


@dataclass(frozen=True, slots=True)
class Elements:
    """A list."""

    at: int
    items: tuple[CelNode, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A map with the keys and values in turn."""

    at: int
    pairs: tuple[tuple[CelNode, CelNode], ...]


@dataclass(frozen=True, slots=True)
class Unary:
    at: int
    operator: str
    operand: CelNode


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands joined by operators of one level, from left to right."""

    at: int
    operators: tuple[str, ...]
    operands: tuple[CelNode, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    at: int
    condition: CelNode
    then: CelNode
    otherwise: CelNode


CelNode: TypeAlias = Literal | Name | Select | Index | Call | Macro | Elements | Fields | Unary | Chain | Conditional


def children(node: CelNode) -> tuple[CelNode, ...]:
    """The nodes directly below one, in the order of the text."""
    match node:
        case Literal() | Name():
            return ()
        case Select(of=of):
            return (of,)
        case Index(of=of, index=index):
            return (of, index)
        case Call(target=target, arguments=arguments):
            return arguments if target is None else (target, *arguments)
        case Macro(target=over, body=body):
            return (over, *body)
        case Elements(items=items):
            return items
        case Fields(pairs=pairs):
            return tuple(node for pair in pairs for node in pair)
        case Unary(operand=operand):
            return (operand,)
        case Chain(operands=operands):
            return operands
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)


def walk(node: CelNode) -> Iterator[CelNode]:
    """All nodes of a tree, a parent before what is below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def free_names(node: CelNode, bound: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names that an expression reads from outside, without those that its comprehension gives."""
    match node:
        case Name(name=name):
            return frozenset() if name in bound else frozenset({name})
        case Macro(target=over, variable=variable, body=body):
            inner = [free_names(part, bound | {variable}) for part in body]
            return free_names(over, bound).union(*inner)
        case _:
            return frozenset().union(*(free_names(child, bound) for child in children(node)))
