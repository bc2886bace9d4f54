"""A definition ready to run, as a flat graph of the steps that do something, and where a state stands in it.

Owns order: what is needed before what, and where the point of no return is. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from saga_engine.core.scope import ItemView, Scope, evaluate
from saga_engine.core.state import CLOSED, SagaState, StepState, StepStatus, address, split
from saga_engine.definition.model import (
    Call,
    Compensation,
    Definition,
    Expression,
    ExpressionFailed,
    ForEach,
    Json,
    Sleep,
    Wait,
)

Leaf: TypeAlias = Call | Sleep | Wait


@dataclass(frozen=True, slots=True)
class Node:
    """A step that does something.

    `needs` and `dependents` are addresses of other nodes; `guards` every condition that must hold, outermost first.
    """

    place: str
    action: Leaf
    scope: Scope
    needs: tuple[str, ...]
    dependents: tuple[str, ...]
    guards: tuple[tuple[Scope, Expression], ...]
    call: Call | None = field(init=False)
    loop: ForEach | None = field(init=False)

    def __post_init__(self) -> None:
        # Once: every event of every saga asks for them.
        call = self.action if isinstance(self.action, Call) else None
        object.__setattr__(self, "call", call)
        object.__setattr__(self, "loop", None if call is None else call.for_each)


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph of a definition. `gates` are the steps whose issue is the point of no return."""

    definition: Definition
    top: Scope
    nodes: Mapping[str, Node]
    roots: tuple[str, ...]
    pivot: str | None
    gates: tuple[str, ...]

    def at(self, place: str) -> Node:
        """The node of an address: of a step, or of the step of an item."""
        node = self.nodes.get(place)
        return self.nodes[split(place)[0]] if node is None else node

    def before(self, place: str) -> frozenset[str]:
        """All steps that one needs, through others too."""
        return _reached(place, lambda name: self.nodes[name].needs)

    def behind(self, place: str) -> frozenset[str]:
        """All steps that depend on one, through others too."""
        return _reached(place, lambda name: self.nodes[name].dependents)

    def past_no_return(self, state: SagaState) -> bool:
        """Whether the pivot or a first retriable step was issued, and the pivot not rejected since."""
        for place in self.gates:
            step = state.steps.get(place)
            if step is not None and step.status is not StepStatus.REJECTED and _was_issued(state, place, step):
                return True
        return False

    def pivot_is_open(self, state: SagaState) -> bool:
        step = state.steps.get(self.pivot) if self.pivot is not None else None
        return step is not None and step.status.in_flight

    def is_open(self, state: SagaState, node: Node) -> bool:
        """Whether all that a step needs is closed."""
        steps = state.steps
        for place in node.needs:
            need = steps.get(place)
            if need is None or need.status not in CLOSED:
                return False
        return True

    def evaluate(
        self, state: SagaState, node: Node, expression: Expression, item: int | None = None
    ) -> Json | ExpressionFailed:
        """The value of an expression of this step, or of one item of it."""
        return evaluate(state, node.scope, expression, _item_view(state, node, item))

    def evaluate_top(self, state: SagaState, expression: Expression) -> Json | ExpressionFailed:
        """The value of an expression of the saga itself: its output, its events."""
        return evaluate(state, self.top, expression)

    def guard(self, state: SagaState, node: Node) -> bool | ExpressionFailed:
        """Whether all conditions of a step hold, those of the children around it included."""
        for scope, condition in node.guards:
            value = evaluate(state, scope, condition)
            if isinstance(value, ExpressionFailed):
                return value
            if not isinstance(value, bool):
                return ExpressionFailed(f"`if` must be true or false, not {_kind_of(value)}")
            if not value:
                return False
        return True


def compensation_of(node: Node) -> Compensation | None:
    """The compensation of a step, or None where there is nothing to undo."""
    return node.call.compensation if node.call is not None else None


def _reached(place: str, following: Callable[[str], Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    stack = list(following(place))
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(following(name))
    return frozenset(found)


def _was_issued(state: SagaState, place: str, step: StepState) -> bool:
    """Whether a command of this step was ever issued: of a `for_each` step one of its items'."""
    if step.items is None:
        return step.forward is not None
    return any(state.steps[address(place, i)].forward is not None for i in range(step.items_issued))


def _item_view(state: SagaState, node: Node, item: int | None) -> ItemView | None:
    if item is None or node.loop is None:
        return None
    step = state.steps.get(node.place)
    if step is None or step.items is None:
        return None
    one = state.steps.get(address(node.place, item))
    view: Json = None if one is None else {"status": one.status.value, "result": one.result}
    failure: Json = None if one is None else {"step": node.place, "code": one.code, "message": one.message}
    return ItemView(node.place.removeprefix(node.scope.prefix), node.loop.as_name, step.items[item], view, failure)


def _kind_of(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"
