"""Which names an expression may use, by where it stands: the roots, the steps it follows, the item of a `for_each`.

Owns visibility. Looks into no expression; what is known of a command's result comes from the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from saga_engine.definition.catalogue import ParticipantCatalogue
from saga_engine.definition.expressions import CompiledExpression
from saga_engine.definition.model import Call, Child, Definition, Emit, Expression, Sleep, Step, Wait
from saga_engine.definition.order import Order, placed
from saga_engine.definition.problems import PathPart
from saga_engine.definition.shapes import ANYTHING, NoSuch, Shape, element, field, list_shape, shape_of, type_shape

Role: TypeAlias = Literal["value", "condition", "items", "key"]

_SAGA: Final = shape_of(
    {"type": "object", "properties": {"id": {"type": "string"}, "key": {"type": "string"}}, "required": ["id", "key"]}
)
_FAILURE: Final = shape_of(
    {
        "type": "object",
        "properties": {"step": {"type": ["string", "null"]}, "code": {"type": "string"}, "message": {"type": "string"}},
        "required": ["step", "code", "message"],
    }
)
_EVENT: Final = shape_of(
    {
        "type": "object",
        "properties": {
            "subject": {"type": "string"},
            "id": {"type": "string"},
            "type": {"type": ["string", "null"]},
            "source": {"type": ["string", "null"]},
            "data": {},
        },
        "required": ["subject", "id", "type", "source", "data"],
    }
)
_NO_FAILURE: Final = "there is no failure yet: it is known to compensations and to the events that end a saga"


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression sees. `hidden`: names that mean something, but not here, and why not.

    `steps`: the results of the steps it follows; `all_steps`: every step of the saga. `nullable`: steps whose result
    may be null here, with True where the author must guard against it (a compensation) and False where it is advised.
    """

    roots: Mapping[str, Shape]
    hidden: Mapping[str, str]
    steps: Mapping[str, Shape]
    all_steps: frozenset[str]
    nullable: Mapping[str, bool]
    of_step: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One expression of a definition, where it stands, what it sees and what it is for."""

    path: tuple[PathPart, ...]
    expression: CompiledExpression
    scope: Scope
    role: Role = "value"


def sites(definition: Definition, catalogue: ParticipantCatalogue | None) -> list[Site]:
    """Every expression of a definition."""
    return list(_Sites(definition, catalogue).all())


class _Sites:
    def __init__(self, definition: Definition, catalogue: ParticipantCatalogue | None) -> None:
        self._definition = definition
        self._catalogue = catalogue
        self._order = Order(placed(definition))
        schema = definition.input_schema
        self._input = shape_of({"type": "object"} if schema is None else schema)
        self._results = {step.name: self._result(step) for step in definition.steps}
        self._skippable = frozenset(step.name for step in definition.steps if step.condition is not None)

    def all(self) -> Iterator[Site]:
        definition = self._definition
        yield from _site(("key",), definition.key, self._key_scope(), "key")
        if definition.on is not None:
            yield from _site(("on", "key"), definition.on.key, self._event_scope(), "key")
            yield from _site(("on", "input"), definition.on.input, self._event_scope())
        for index, step in enumerate(definition.steps):
            yield from self._step(step, ("steps", index))
        everything = self._scope(frozenset(self._results))
        yield from _site(("output",), definition.output, everything)
        ended = self._compensating(everything)
        yield from _emit(("emit", "completed"), definition.emit.completed, everything)
        yield from _emit(("emit", "compensated"), definition.emit.compensated, ended)
        yield from _emit(("emit", "closed"), definition.emit.closed, ended)

    def _step(self, step: Step, path: tuple[PathPart, ...]) -> Iterator[Site]:
        before = self._order.all_before(step.name)
        scope = self._scope(before, step.name)
        after = self._scope(before | {step.name}, step.name)
        yield from _site((*path, "if"), step.condition, scope, "condition")
        match step.action:
            case Call():
                yield from self._call(step.action, path, scope, after)
            case Wait(emit=emit, on=on):
                if on is not None:
                    yield from _site((*path, "wait", "on", "key"), on.key, self._event_scope(), "key")
                yield from _emit((*path, "emit"), emit, after)
            case Child(payload=payload):
                yield from _site((*path, "with"), payload, scope)
            case Sleep():
                return

    def _call(self, call: Call, path: tuple[PathPart, ...], scope: Scope, after: Scope) -> Iterator[Site]:
        forward, backward = scope, self._compensating(after)
        if call.for_each is not None:
            yield from _site((*path, "for_each", "in"), call.for_each.items, scope, "items")
            name, item = call.for_each.as_name, self._item(call.for_each.items)
            forward = replace(scope, roots={**scope.roots, name: item})
            backward = replace(backward, roots={**backward.roots, name: item})
            # For one item, its own result stands where the step's list would.
            backward = replace(backward, steps={**backward.steps, scope.of_step: ANYTHING})
        yield from _site((*path, "with"), call.payload, forward)
        yield from _emit((*path, "emit"), call.emit, after)
        if call.compensation is not None:
            yield from _site((*path, "compensate", "with"), call.compensation.payload, backward)
            yield from _emit((*path, "compensate", "emit"), call.compensation.emit, backward)

    def _key_scope(self) -> Scope:
        hidden = {
            "steps": "no step has run when the key is made",
            "saga": "the key is made before the saga is",
            "failure": _NO_FAILURE,
        }
        return Scope({"input": self._input}, hidden, {}, frozenset(self._results), {})

    def _event_scope(self) -> Scope:
        hidden = dict.fromkeys(("input", "steps", "saga", "failure"), "which saga an event is for is asked of it alone")
        return Scope({"event": _EVENT}, hidden, {}, frozenset(self._results), {})

    def _scope(self, steps: frozenset[str], of_step: str = "") -> Scope:
        return Scope(
            roots={"input": self._input, "saga": _SAGA},
            hidden={"failure": _NO_FAILURE},
            steps={name: self._results[name] for name in sorted(steps)},
            all_steps=frozenset(self._results),
            nullable=dict.fromkeys(sorted(self._skippable & steps), False),
            of_step=of_step,
        )

    def _compensating(self, scope: Scope) -> Scope:
        return replace(
            scope,
            roots={**scope.roots, "failure": _FAILURE},
            hidden={},
            nullable=dict.fromkeys(scope.steps, True),
        )

    def _result(self, step: Step) -> Shape:
        match step.action:
            case Call(participant=participant, command=command, for_each=each):
                entry = None if self._catalogue is None else self._catalogue.get(participant, command)
                result = ANYTHING if entry is None else shape_of(entry.result)
                return result if each is None else list_shape(ANYTHING if each.tolerate else result)
            case Sleep():
                return type_shape("null")
            case Wait() | Child():
                return ANYTHING

    def _item(self, items: Expression) -> Shape:
        """The shape of one item, when the list is a plain path into the input."""
        assert isinstance(items, CompiledExpression)
        if len(items.fragments) != 1 or not items.fragments[0].alone or items.fragments[0].path:
            return ANYTHING
        path = items.fragments[0].plain
        shape = self._input
        if path is None or path[0] != "input":
            return ANYTHING
        for part in path[1:]:
            reached = field(shape, part) if isinstance(part, str) else element(shape)
            if isinstance(reached, NoSuch):
                return ANYTHING
            shape = reached
        item = element(shape)
        return ANYTHING if isinstance(item, NoSuch) else item


def _site(path: tuple[PathPart, ...], expression: Expression | None, scope: Scope, role: Role = "value") -> list[Site]:
    if expression is None:
        return []
    assert isinstance(expression, CompiledExpression)
    return [Site(path, expression, scope, role)]


def _emit(path: tuple[PathPart, ...], emit: Emit | None, scope: Scope) -> list[Site]:
    return [] if emit is None else _site((*path, "data"), emit.data, scope)
