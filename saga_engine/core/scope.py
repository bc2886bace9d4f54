"""Where an expression stands, and what it sees there of a saga's state: input, steps, failure, the saga, an item.

Decides nothing, and knows no order of steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from saga_engine.core.state import CLOSED, SagaState, StepState, StepStatus
from saga_engine.definition.model import Child, Expression, ExpressionFailed, Json


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
class ItemView:
    """What an expression of one item sees besides: the item by its name, its own outcome as the step's, its failure."""

    step: str
    name: str
    value: Json
    view: Json
    failure: Json


def evaluate(
    state: SagaState, scope: Scope, expression: Expression, item: ItemView | None = None
) -> Json | ExpressionFailed:
    """The value of an expression at this place; with `item`, of one item."""
    roots: dict[str, Json] = {} if item is None else {item.name: item.value}
    for root in expression.roots:
        if root == "input":
            value = _input_of(state, scope)
            if isinstance(value, ExpressionFailed):
                return value
            roots["input"] = value
        elif root == "steps":
            views: dict[str, Json] = {}
            for name in expression.steps:
                view = item.view if item is not None and name == item.step else _view(state, scope, name)
                if isinstance(view, ExpressionFailed):
                    return view
                views[name] = view
            roots["steps"] = views
        elif root == "failure":
            saga_failure = failure_view(state)
            roots["failure"] = item.failure if item is not None and saga_failure is None else saga_failure
        elif root == "saga":
            roots["saga"] = {"id": str(state.saga_id), "key": state.key}
    return expression.evaluate(roots)


def failure_view(state: SagaState) -> Json:
    """What `failure` is to an expression: the first failure, or null."""
    failure = state.failure
    return None if failure is None else {"step": failure.step, "code": failure.code, "message": failure.message}


def result_of(state: SagaState, place: str, step: StepState) -> Json:
    """A step's result; for `for_each` the results in item order, null for an item that did not succeed."""
    if step.items is None:
        return step.result
    items = (state.steps.get(f"{place}/{i}") for i in range(len(step.items)))
    return [item.result if item is not None else None for item in items]


def _input_of(state: SagaState, scope: Scope) -> Json | ExpressionFailed:
    if scope.child is None or scope.parent is None:
        return state.input
    return evaluate(state, scope.parent, scope.child.payload)


def _view(state: SagaState, scope: Scope, name: str) -> Json | ExpressionFailed:
    """A step as expressions see it: its status and its result (null unless it succeeded)."""
    inner = scope.children.get(name)
    if inner is None:
        step = state.steps.get(scope.prefix + name)
        if step is None:
            return {"status": "pending", "result": None}
        return {"status": step.status.value, "result": result_of(state, scope.prefix + name, step)}
    states = [state.steps.get(place) for place in scope.leaves[name]]
    if any(step is None or step.status not in CLOSED for step in states):
        return {"status": "pending", "result": None}
    if all(step is not None and step.status is StepStatus.SKIPPED for step in states):
        return {"status": "skipped", "result": None}
    output = inner.child.definition.output if inner.child is not None and inner.child.definition is not None else None
    result = evaluate(state, inner, output) if output is not None else None
    return result if isinstance(result, ExpressionFailed) else {"status": "succeeded", "result": result}
