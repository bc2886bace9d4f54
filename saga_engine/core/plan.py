"""A definition made ready to run: its steps as a flat graph, and what an expression sees of a saga's state.

Children are expanded here: their steps are named `parent_step/child_step`. Owns order and scope; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Final, TypeAlias

from saga_engine.core.state import SagaState, StepState, StepStatus, address, split
from saga_engine.definition.model import (
    Call,
    Child,
    Compensation,
    Definition,
    Expression,
    ExpressionFailed,
    ForEach,
    Json,
    Kind,
    Sleep,
    Step,
    Wait,
)

Leaf: TypeAlias = Call | Sleep | Wait

_CLOSED: Final = (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: the saga itself (`child` None), or a child saga under `prefix`.

    `children` are the scopes of its `saga` steps by name, `leaves` the places of each step that do something.
    """

    prefix: str
    parent: Scope | None
    child: Child | None
    children: dict[str, Scope] = field(default_factory=dict)
    leaves: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A step that does something. `needs` and `dependents` are addresses of other nodes; `guards` every condition that

    must hold, outermost first.
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
class _Slot:
    """What an expression of one item sees besides: the item, its own outcome as the step's, and its own failure."""

    step: str
    item_name: str
    item: Json
    view: Json
    failure: Json


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
            if need is None or need.status not in _CLOSED:
                return False
        return True

    def evaluate(
        self, state: SagaState, node: Node, expression: Expression, item: int | None = None
    ) -> Json | ExpressionFailed:
        """The value of an expression of this step, or of one item of it."""
        return _evaluate(state, node.scope, expression, _slot(state, node, item))

    def evaluate_top(self, state: SagaState, expression: Expression) -> Json | ExpressionFailed:
        """The value of an expression of the saga itself: its output, its events."""
        return _evaluate(state, self.top, expression)

    def guard(self, state: SagaState, node: Node) -> bool | ExpressionFailed:
        """Whether all conditions of a step hold, those of the children around it included."""
        for scope, condition in node.guards:
            value = _evaluate(state, scope, condition)
            if isinstance(value, ExpressionFailed):
                return value
            if not isinstance(value, bool):
                return ExpressionFailed(f"`if` must be true or false, not {_kind_of(value)}")
            if not value:
                return False
        return True


def compile_plan(definition: Definition) -> Plan:
    """Make a definition ready to run. Its children must have been expanded (`Child.definition`).

    Raises:
        ValueError: a child has no definition, or a step needs one that does not exist; the loader's rules refuse both.
    """
    drafts: dict[str, _Draft] = {}
    top = _flatten(definition, Scope("", None, None), (), (), drafts)
    dependents: dict[str, list[str]] = {place: [] for place in drafts}
    for place, draft in drafts.items():
        for need in draft.needs:
            dependents[need].append(place)
    nodes = {
        place: Node(place, draft.action, draft.scope, draft.needs, tuple(dependents[place]), draft.guards)
        for place, draft in drafts.items()
    }
    roots = tuple(place for place, node in nodes.items() if not node.needs)
    pivots = [place for place, node in nodes.items() if node.call is not None and node.call.kind is Kind.PIVOT]
    return Plan(definition, top, nodes, roots, pivots[0] if pivots else None, _gates(nodes))


@dataclass(frozen=True, slots=True)
class _Draft:
    action: Leaf
    scope: Scope
    needs: tuple[str, ...]
    guards: tuple[tuple[Scope, Expression], ...]


def _flatten(
    definition: Definition,
    scope: Scope,
    entry: tuple[str, ...],
    guards: tuple[tuple[Scope, Expression], ...],
    drafts: dict[str, _Draft],
) -> Scope:
    """Add the steps of one definition to `drafts`; those without needs wait for `entry`. Returns the scope, filled."""
    for step in _in_order(definition):
        place = scope.prefix + step.name
        needs = tuple(dict.fromkeys(leaf for need in step.needs for leaf in scope.leaves[need])) or entry
        conditions = guards if step.condition is None else (*guards, (scope, step.condition))
        action = step.action
        if isinstance(action, Child):
            if action.definition is None:
                raise ValueError(f"child saga {action.saga} of step {place} was not expanded")
            before = len(drafts)
            inner = Scope(place + "/", scope, action)
            scope.children[step.name] = _flatten(action.definition, inner, needs, conditions, drafts)
            scope.leaves[step.name] = tuple(drafts)[before:]
        else:
            drafts[place] = _Draft(action, scope, needs, conditions)
            scope.leaves[step.name] = (place,)
    return scope


def _in_order(definition: Definition) -> Iterator[Step]:
    """The steps, each after those it needs. Raises `ValueError` for steps that need each other or do not exist."""
    steps = {step.name: step for step in definition.steps}
    for name in TopologicalSorter({step.name: step.needs for step in definition.steps}).static_order():
        if name not in steps:
            raise ValueError(f"step {name} is needed but does not exist")
        yield steps[name]


def _gates(nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """The pivot and the retriable steps, but those behind another that is sure to be issued before them.

    A step with a condition may be skipped, one for each item of a list may have none: neither is sure.
    """
    behind: dict[str, bool] = {}
    gates: list[str] = []
    for place, node in nodes.items():
        after = any(behind[need] for need in node.needs)
        gate = node.call is not None and node.call.kind in (Kind.PIVOT, Kind.RETRIABLE)
        if gate and not after:
            gates.append(place)
        sure = node.call is not None and node.call.for_each is None and not node.guards
        behind[place] = after or (gate and sure)
    return tuple(gates)


def _was_issued(state: SagaState, place: str, step: StepState) -> bool:
    """Whether a command of this step was ever issued: of a `for_each` step one of its items'."""
    if step.items is None:
        return step.forward is not None
    return any(state.steps[address(place, i)].forward is not None for i in range(step.items_issued))


def _slot(state: SagaState, node: Node, item: int | None) -> _Slot | None:
    if item is None or node.loop is None:
        return None
    step = state.steps.get(node.place)
    if step is None or step.items is None:
        return None
    one = state.steps.get(address(node.place, item))
    view: Json = None if one is None else {"status": one.status.value, "result": one.result}
    failure: Json = None if one is None else {"step": node.place, "code": one.code, "message": one.message}
    return _Slot(node.place.removeprefix(node.scope.prefix), node.loop.as_name, step.items[item], view, failure)


def _evaluate(
    state: SagaState, scope: Scope, expression: Expression, slot: _Slot | None = None
) -> Json | ExpressionFailed:
    roots: dict[str, Json] = {} if slot is None else {slot.item_name: slot.item}
    for root in expression.roots:
        if root == "input":
            value = _scope_input(state, scope)
            if isinstance(value, ExpressionFailed):
                return value
            roots["input"] = value
        elif root == "steps":
            views: dict[str, Json] = {}
            for name in expression.steps:
                view = slot.view if slot is not None and name == slot.step else _view(state, scope, name)
                if isinstance(view, ExpressionFailed):
                    return view
                views[name] = view
            roots["steps"] = views
        elif root == "failure":
            saga_failure = failure_view(state)
            roots["failure"] = slot.failure if slot is not None and saga_failure is None else saga_failure
        elif root == "saga":
            roots["saga"] = {"id": str(state.saga_id), "key": state.key}
    return expression.evaluate(roots)


def compensation_of(node: Node) -> Compensation | None:
    """The compensation of a step, or None where there is nothing to undo."""
    return node.call.compensation if node.call is not None else None


def failure_view(state: SagaState) -> Json:
    """What `failure` is to an expression: the first failure, or null."""
    failure = state.failure
    return None if failure is None else {"step": failure.step, "code": failure.code, "message": failure.message}


def _scope_input(state: SagaState, scope: Scope) -> Json | ExpressionFailed:
    if scope.child is None or scope.parent is None:
        return state.input
    return _evaluate(state, scope.parent, scope.child.payload)


def _view(state: SagaState, scope: Scope, name: str) -> Json | ExpressionFailed:
    """A step as expressions see it: its status and its result (null unless it succeeded)."""
    inner = scope.children.get(name)
    if inner is None:
        step = state.steps.get(scope.prefix + name)
        if step is None:
            return {"status": "pending", "result": None}
        return {"status": step.status.value, "result": result_of(state, scope.prefix + name, step)}
    states = [state.steps.get(place) for place in scope.leaves[name]]
    if any(step is None or step.status not in _CLOSED for step in states):
        return {"status": "pending", "result": None}
    if all(step is not None and step.status is StepStatus.SKIPPED for step in states):
        return {"status": "skipped", "result": None}
    output = inner.child.definition.output if inner.child is not None and inner.child.definition is not None else None
    result = _evaluate(state, inner, output) if output is not None else None
    return result if isinstance(result, ExpressionFailed) else {"status": "succeeded", "result": result}


def result_of(state: SagaState, place: str, step: StepState) -> Json:
    """A step's result; for `for_each` the results in item order, null for an item that did not succeed."""
    if step.items is None:
        return step.result
    items = (state.steps.get(f"{place}/{i}") for i in range(len(step.items)))
    return [item.result if item is not None else None for item in items]


def _kind_of(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    return "an object" if isinstance(value, Mapping) else "a list"
