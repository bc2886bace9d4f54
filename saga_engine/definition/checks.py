"""Looks through the expressions of a definition before anything runs: unknown names, misspelt paths, wrong types.

Owns the rules E149 and E230 to E237 and the advice W301 and W302. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from saga_engine.definition.cel_nodes import (
    Call,
    CelNode,
    Chain,
    Conditional,
    Elements,
    Fields,
    Index,
    Literal,
    Macro,
    Name,
    Select,
    Unary,
)
from saga_engine.definition.cel_reads import static_path
from saga_engine.definition.expressions import Fragment
from saga_engine.definition.problems import Finding, PathPart, nearest, path_text, shown
from saga_engine.definition.scopes import Scope, Site
from saga_engine.definition.shapes import ANYTHING, NoSuch, Shape, element, field, list_shape, type_shape

_BOOLEAN: Final = type_shape("boolean")
_RESULTS: Final = {
    "size": type_shape("integer"),
    "int": type_shape("integer"),
    "double": type_shape("number"),
    "string": type_shape("string"),
}
_LITERALS: Final = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_STEP_FIELDS: Final = ("result", "status")

Proven: TypeAlias = frozenset[tuple[PathPart, ...]]


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding inside one `${{ }}`, at a character of its text. `advice`: a warning, not an error."""

    fragment: Fragment
    offset: int
    finding: Finding
    advice: bool


def remarks(site: Site) -> Iterator[Remark]:
    """Everything that can be said against an expression where it stands."""
    for fragment in site.expression.fragments:
        checker = _Checker(site, fragment)
        shape = checker.shape(fragment.node, {}, frozenset())
        yield from checker.remarks
        yield from _role(site, fragment, shape)


def _role(site: Site, fragment: Fragment, shape: Shape) -> Iterator[Remark]:
    """Whether the value can be what its place asks for."""
    wanted = {
        "condition": ("E149", {"boolean"}, '"if"', "an expression that is true or false"),
        "items": ("E217", {"array"}, '"in"', "an expression that is a list"),
        "key": ("E237", {"string", "integer"}, '"key"', "a text or an integer"),
    }.get(site.role)
    if wanted is None or fragment.path:
        return
    code, types, what, expected = wanted
    found = shape if fragment.alone else type_shape("string")
    if found.types and not found.types & types:
        yield Remark(fragment, 0, Finding(code, site.path, f"{what} is {found.describe()}", expected), advice=False)


class _Checker:
    """Walks one tree, with the names that a comprehension binds and what conditions have proven on the way."""

    def __init__(self, site: Site, fragment: Fragment) -> None:
        self.remarks: list[Remark] = []
        self._scope: Scope = site.scope
        self._path = site.path
        self._fragment = fragment

    def shape(self, node: CelNode, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        match node:
            case Literal(value=value):
                return type_shape(_LITERALS[type(value)])
            case Name():
                return self._name(node, bound)
            case Select(of=of, field=name):
                return self._member(node, of, name, bound, proven)
            case Index():
                return self._index(node, bound, proven)
            case Call():
                return self._call(node, bound, proven)
            case Macro():
                return self._macro(node, bound, proven)
            case Elements(items=items):
                for item in items:
                    self.shape(item, bound, proven)
                return type_shape("array")
            case Fields(pairs=pairs):
                for _, field_value in pairs:
                    self.shape(field_value, bound, proven)
                return type_shape("object")
            case Unary(operator=operator, operand=operand):
                inner = self.shape(operand, bound, proven)
                return _BOOLEAN if operator == "!" else inner
            case Chain():
                return self._chain(node, bound, proven)
            case Conditional():
                return self._conditional(node, bound, proven)

    def _name(self, node: Name, bound: Mapping[str, Shape]) -> Shape:
        name = node.name
        if name in bound:
            return bound[name]
        if name in self._scope.roots:
            return self._scope.roots[name]
        known = sorted({*self._scope.roots, *bound, "steps"} - set(self._scope.hidden))
        if name in self._scope.hidden:
            self._error(node.at, "E230", f'"{name}" is not known here: {self._scope.hidden[name]}')
        elif name == "steps":
            self._error(node.at, "E234", '"steps" without a step', "steps.NAME, with the name written out")
        else:
            self._error(node.at, "E230", f'unknown name "{name}"', "one of " + ", ".join(known), nearest(name, known))
        return ANYTHING

    def _index(self, node: Index, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        if not isinstance(node.index, Literal):
            self.shape(node.index, bound, proven)
            if self._is_steps(node.of):
                self._error(
                    node.at, "E234", "a step is named by an expression", "steps.NAME, with the name written out"
                )
                return ANYTHING
        key = node.index.value if isinstance(node.index, Literal) else None
        return self._member(node, node.of, key if isinstance(key, str) else None, bound, proven)

    def _is_steps(self, node: CelNode) -> bool:
        return isinstance(node, Name) and node.name == "steps" and "steps" not in self._scope.hidden

    def _member(
        self, node: Select | Index, of: CelNode, key: str | None, bound: Mapping[str, Shape], proven: Proven
    ) -> Shape:
        """What a field, or with no key an element, of a value is."""
        if self._is_steps(of):
            return self._step(node.at, key or "")
        base = self.shape(of, bound, proven)
        owner = static_path(of)
        if owner is not None and len(owner) == 2 and owner[0] == "steps":
            return self._step_field(node.at, str(owner[1]), key or "")
        self._nullable(node.at, owner, proven)
        if key is None:
            # An index that is computed may as well be a key.
            computed = isinstance(node, Index) and not isinstance(node.index, Literal)
            return (
                ANYTHING
                if computed and "array" not in base.types
                else self._reached(node, of, "", element(base), proven)
            )
        return self._reached(node, of, key, field(base, key), proven)

    def _step_field(self, at: int, step: str, name: str) -> Shape:
        if name == "result":
            return self._scope.steps.get(step, ANYTHING)
        if name != "status":
            hint = nearest(name, _STEP_FIELDS)
            self._error(at, "E231", f"steps.{step} has no field {shown(name)}", "one of result, status", hint)
        return type_shape("string")

    def _reached(self, node: Select | Index, of: CelNode, name: str, reached: Shape | NoSuch, proven: Proven) -> Shape:
        path = static_path(node)
        if isinstance(reached, NoSuch):
            owner = path_text(static_path(of) or ("the value",))
            if reached.why:
                self._error(node.at, "E231", f"{owner} {reached.why}", "a path that the schemas know")
            else:
                expected = "one of " + ", ".join(reached.known) if reached.known else "no field: none is declared"
                message = f"{owner} has no field {shown(name)}"
                self._error(node.at, "E231", message, expected, nearest(name, reached.known))
            return ANYTHING
        if reached.optional and path is not None and path not in proven:
            guard = path_text(path)
            hint = f"guard it: has({guard}) ? {guard} : ..."
            self._note(node.at, Finding("W302", self._path, f"{guard} may be absent", "", hint), advice=True)
        return reached

    def _step(self, at: int, name: str) -> Shape:
        scope = self._scope
        if name in scope.steps:
            return type_shape("object")
        if name in scope.all_steps:
            where = f"the step {scope.of_step}" if scope.of_step else "this place"
            message = f"{where} does not follow the step {name}"
            self._error(at, "E233", message, "a step that comes before", f'name {name} in "needs"')
        else:
            self._error(at, "E232", f"no step {shown(name)}", "a step of this saga", nearest(name, scope.all_steps))
        return ANYTHING

    def _nullable(self, at: int, path: tuple[PathPart, ...] | None, proven: Proven) -> None:
        """A field of a step's result, which may be null here."""
        if path is None or len(path) != 3 or path[0] != "steps" or path[2] != "result" or path in proven:
            return
        must = self._scope.nullable.get(str(path[1]))
        guard = path_text(path)
        if must is None:
            return
        expected = f"{guard} != null ? ... : ..."
        if must:
            self._error(at, "E235", f"{guard} may be null in a compensation", expected)
        else:
            message = f"{guard} is null when the step is skipped"
            self._note(at, Finding("W301", self._path, message, expected), advice=True)

    def _call(self, node: Call, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        if node.function == "has":
            argument = node.arguments[0]
            assert isinstance(argument, Select)
            path = static_path(argument)
            self.shape(argument, bound, proven if path is None else proven | {path})
            return _BOOLEAN
        for part in (*([] if node.target is None else [node.target]), *node.arguments):
            self.shape(part, bound, proven)
        return _RESULTS.get(node.function, _BOOLEAN)

    def _macro(self, node: Macro, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        over = self.shape(node.target, bound, proven)
        if over.types and "array" not in over.types:
            self._error(node.at, "E236", f'"{node.function}" runs over {over.describe()}', "a list")
            return ANYTHING
        item = element(over)
        inner = {**bound, node.variable: ANYTHING if isinstance(item, NoSuch) else item}
        shapes = [self.shape(part, inner, proven) for part in node.body]
        match node.function:
            case "map":
                return list_shape(shapes[-1])
            case "filter":
                return over if over.types else type_shape("array")
            case _:
                return _BOOLEAN

    def _chain(self, node: Chain, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        operator = node.operators[0]
        shapes: list[Shape] = []
        for operand in node.operands:
            shapes.append(self.shape(operand, bound, proven))
            if operator == "&&":
                proven |= facts(operand, True)
            elif operator == "||":
                proven |= facts(operand, False)
        if operator in ("+", "-", "*", "/", "%"):
            return shapes[0] if all(shape.types == shapes[0].types for shape in shapes) else ANYTHING
        return _BOOLEAN

    def _conditional(self, node: Conditional, bound: Mapping[str, Shape], proven: Proven) -> Shape:
        condition = self.shape(node.condition, bound, proven)
        if condition.types and "boolean" not in condition.types:
            self._error(node.condition.at, "E149", f"the condition is {condition.describe()}", "true or false")
        then = self.shape(node.then, bound, proven | facts(node.condition, True))
        otherwise = self.shape(node.otherwise, bound, proven | facts(node.condition, False))
        if not then.variants or not otherwise.variants:
            return ANYTHING
        return Shape(then.variants + otherwise.variants)

    def _error(self, at: int, code: str, message: str, expected: str = "", suggestion: str = "") -> None:
        self._note(at, Finding(code, self._path, message, expected, suggestion), advice=False)

    def _note(self, at: int, finding: Finding, *, advice: bool) -> None:
        self.remarks.append(Remark(self._fragment, at, finding, advice))


def facts(node: CelNode, holds: bool) -> Proven:
    """The paths that are there and not null, given that a condition holds, or that it does not."""
    match node:
        case Unary(operator="!", operand=operand):
            return facts(operand, not holds)
        case Call(function="has", arguments=(Select() as select,)) if holds:
            path = static_path(select)
            return frozenset() if path is None else frozenset({path})
        case Chain(operators=("!=" | "==" as operator,), operands=(left, right)):
            return _not_null(left, right) | _not_null(right, left) if (operator == "!=") == holds else frozenset()
        case Chain(operators=operators, operands=operands) if operators[0] == ("&&" if holds else "||"):
            return frozenset().union(*(facts(operand, holds) for operand in operands))
        case _:
            return frozenset()


def _not_null(value: CelNode, other: CelNode) -> Proven:
    path = static_path(value)
    if path is None or not (isinstance(other, Literal) and other.value is None):
        return frozenset()
    return frozenset({path})
