"""Values of a definition with `${{ }}` in them, compiled once into functions: the `Expression` of the model.

Owns how literals, paths, mixed text and structures become values. What stands between the braces is `paths` for a plain
path and `cel_program` for the rest; whether a name in it makes sense where it stands is for the checks at load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from saga_engine.definition import cel_nodes, cel_parser
from saga_engine.definition.cel_program import MAX_RESULT, CelExpression
from saga_engine.definition.cel_reads import static_path
from saga_engine.definition.cel_tokens import CelSyntaxError
from saga_engine.definition.model import ExpressionFailed, Json
from saga_engine.definition.paths import Evaluate, follow, parse_path
from saga_engine.definition.problems import PathPart
from saga_engine.definition.template import OPEN, Leaf, Unclosed, as_text, split
from saga_engine.definition.values import OutOfBoundsError, check_payload, size_within


@dataclass(frozen=True, slots=True)
class Fragment:
    """One `${{ }}` of a value: where it stands, its text and its tree.

    `plain`: the path, when it is no more than one. `alone`: it is the whole scalar.
    """

    path: tuple[PathPart, ...]
    occurrence: int
    text: str
    node: cel_nodes.CelNode
    plain: tuple[PathPart, ...] | None
    alone: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The path, when the whole scalar is one and goes through fields only; else empty."""
        names = tuple(part for part in self.plain or () if isinstance(part, str))
        return names if self.alone and self.plain is not None and len(names) == len(self.plain) else ()


@dataclass(frozen=True, slots=True)
class Malformed:
    """A `${{ }}` that is no expression: in which scalar, at which character after its `${{`, and why."""

    path: tuple[PathPart, ...]
    occurrence: int
    offset: int
    text: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CompiledExpression:
    """An `Expression`. Two are equal when they were written alike."""

    source: Json
    roots: frozenset[str] = field(compare=False)
    steps: frozenset[str] = field(compare=False)
    fragments: tuple[Fragment, ...] = field(compare=False, repr=False)
    _run: Evaluate = field(compare=False, repr=False)

    def evaluate(self, roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        """The value over the roots, at most 256 KiB of JSON. Total and deterministic."""
        value = self._run(roots)
        if isinstance(value, ExpressionFailed):
            return value
        try:
            check_payload(value)
        except OutOfBoundsError as error:
            return ExpressionFailed(str(error))
        return value


def compile_value(source: Json, *, eager: bool = False) -> CompiledExpression | tuple[Malformed, ...]:
    """Compile a JSON value with `${{ }}` anywhere in its strings; all that is malformed in it, when anything is.

    `eager`: let the CEL library have its say now, not at the first evaluation. Keys of mappings hold no expressions.
    """
    compiler = _Compiler(eager)
    run = compiler.value(source, ())
    if compiler.malformed:
        return tuple(compiler.malformed)
    roots, steps = _names(compiler.fragments)
    return CompiledExpression(source, roots, steps, tuple(compiler.fragments), run or _constant(source))


def literal_text(text: str) -> str:
    """The source of an expression whose value is this text, whatever stands in it."""
    return text.replace(OPEN, "$" + OPEN)


def _constant(value: Json) -> Evaluate:
    return lambda _roots: value


class _Compiler:
    """Walks a value. A part without any expression compiles to None: it stands as it is."""

    def __init__(self, eager: bool) -> None:
        self.fragments: list[Fragment] = []
        self.malformed: list[Malformed] = []
        self._eager = eager

    def value(self, source: Json, path: tuple[PathPart, ...]) -> Evaluate | None:
        if isinstance(source, str):
            return self._text(source, path) if OPEN in source else None
        if isinstance(source, Mapping):
            return self._mapping(source, path)
        if isinstance(source, list | tuple):
            return self._list(source, path)
        return None

    def _mapping(self, source: Mapping[str, Json], path: tuple[PathPart, ...]) -> Evaluate | None:
        first = len(self.fragments)
        runs = {key: self.value(value, (*path, key)) for key, value in source.items()}
        if not any(runs.values()):
            return None
        fields = tuple((key, run or _constant(source[key])) for key, run in runs.items())

        def evaluate(roots: Mapping[str, Json]) -> Json | ExpressionFailed:
            made: dict[str, Json] = {}
            for key, run in fields:
                value = run(roots)
                if isinstance(value, ExpressionFailed):
                    return value
                made[key] = value
            return made

        here = [one for one in self.fragments[first:] if len(one.path) == len(path) + 1]
        plain = {one.path[-1]: one.names for one in here if one.names}
        if all(run is None or key in plain for key, run in runs.items()):
            return _of_paths(dict(source), tuple((key, plain[key]) for key in source if key in plain), evaluate)
        return evaluate

    def _list(self, source: list[Json] | tuple[Json, ...], path: tuple[PathPart, ...]) -> Evaluate | None:
        runs = [self.value(value, (*path, index)) for index, value in enumerate(source)]
        if not any(runs):
            return None
        items = tuple(run or _constant(value) for run, value in zip(runs, source, strict=True))

        def evaluate(roots: Mapping[str, Json]) -> Json | ExpressionFailed:
            made: list[Json] = []
            for run in items:
                value = run(roots)
                if isinstance(value, ExpressionFailed):
                    return value
                made.append(value)
            return made

        return evaluate

    def _text(self, source: str, path: tuple[PathPart, ...]) -> Evaluate | None:
        pieces = split(source)
        if isinstance(pieces, Unclosed):
            message = 'an unclosed "${{": end it with "}}", or write "$${{" for the characters themselves'
            self.malformed.append(Malformed(path, pieces.occurrence, -3, "", "E141", message))
            return None
        alone = len(pieces) == 1
        runs = [_constant(piece) if isinstance(piece, str) else self._leaf(piece, path, alone) for piece in pieces]
        if alone or self.malformed:
            return runs[0]
        return _mixed(tuple(runs))

    def _leaf(self, leaf: Leaf, path: tuple[PathPart, ...], alone: bool) -> Evaluate:
        try:
            node = cel_parser.parse(leaf.text)
        except CelSyntaxError as error:
            self._malformed(leaf, path, error.offset, error.code, error.message)
            return _constant(None)
        plain = parse_path(leaf.text)
        self.fragments.append(Fragment(path, leaf.occurrence, leaf.text, node, plain, alone))
        if plain is not None:
            return follow(plain)
        program = CelExpression(leaf.text, node)
        if self._eager and (refusal := program.compile()):
            self._malformed(leaf, path, 0, "E140", refusal)
        return program.evaluate

    def _malformed(self, leaf: Leaf, path: tuple[PathPart, ...], offset: int, code: str, message: str) -> None:
        self.malformed.append(Malformed(path, leaf.occurrence, offset, leaf.text, code, message))


def _of_paths(whole: dict[str, Json], paths: tuple[tuple[str, tuple[str, ...]], ...], otherwise: Evaluate) -> Evaluate:
    """A mapping whose values are plain paths or stand as they are: the usual payload, made without a call for each.

    `otherwise` tells what is missing.
    """

    def evaluate(roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        made = dict(whole)
        try:
            for key, names in paths:
                value: Json = roots
                for name in names:
                    value = value[name]  # type: ignore[index,call-overload]  # what cannot be indexed raises TypeError
                made[key] = value
        except (KeyError, TypeError):
            return otherwise(roots)
        return made

    return evaluate


def _mixed(runs: tuple[Evaluate, ...]) -> Evaluate:
    def evaluate(roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        text, left = [], MAX_RESULT
        for run in runs:
            value = run(roots)
            if isinstance(value, ExpressionFailed):
                return value
            try:
                left = size_within(value, left)
                text.append(as_text(value))
            except OutOfBoundsError as error:
                return ExpressionFailed(f"in mixed text: {error}")
            except TypeError:
                return ExpressionFailed("in mixed text: a value holds a lone surrogate")
        return "".join(text)

    return evaluate


def _names(fragments: list[Fragment]) -> tuple[frozenset[str], frozenset[str]]:
    """The roots that the fragments read, and the steps among them."""
    roots: set[str] = set()
    steps: set[str] = set()
    for fragment in fragments:
        roots |= cel_nodes.free_names(fragment.node)
        for node in cel_nodes.walk(fragment.node):
            path = static_path(node)
            if path is not None and len(path) == 2 and path[0] == "steps":
                steps.add(str(path[1]))
    return frozenset(roots), frozenset(steps)
