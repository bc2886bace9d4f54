"""Making a definition ready to run: its steps flattened into one graph, children included.

Their steps are named `parent_step/child_step`. Knows no state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from saga_engine.core.plan import Leaf, Node, Plan
from saga_engine.core.scope import Scope
from saga_engine.definition.model import Child, Definition, Expression, Kind, Step


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
