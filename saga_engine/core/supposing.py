"""A definition whose unknown values are supposed: what future results would decide is taken as the author's path.

Used to look ahead only; never stored and never run. Knows expressions as the model's protocol does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saga_engine.definition.model import Action, Call, Child, Definition, Expression, ExpressionFailed, Json, Step


@dataclass(frozen=True, slots=True)
class Supposed:
    """An expression that has a value even where it depends on a result that nobody knows yet: `otherwise`."""

    known: Expression
    otherwise: Json

    @property
    def source(self) -> Json:
        return self.known.source

    @property
    def roots(self) -> frozenset[str]:
        return self.known.roots

    @property
    def steps(self) -> frozenset[str]:
        return self.known.steps

    def evaluate(self, roots: Mapping[str, Json]) -> Json | ExpressionFailed:
        value = self.known.evaluate(roots)
        return self.otherwise if isinstance(value, ExpressionFailed) else value


def supposing(definition: Definition) -> Definition:
    """The definition with its forward expressions supposed.

    A payload without a value is shown as it is written, a condition without one holds, a list without one has a single
    item. Compensations stay as they are: the rules see to it that they have a value whatever the results were.
    """
    output = None if definition.output is None else Supposed(definition.output, definition.output.source)
    return replace(definition, output=output, steps=tuple(_step(step) for step in definition.steps))


def _step(step: Step) -> Step:
    condition = None if step.condition is None else Supposed(step.condition, True)
    return replace(step, condition=condition, action=_action(step.action))


def _action(action: Action) -> Action:
    if isinstance(action, Call):
        each = action.for_each
        items = None if each is None else replace(each, items=Supposed(each.items, [each.items.source]))
        return replace(action, payload=Supposed(action.payload, action.payload.source), for_each=items)
    if isinstance(action, Child):
        inner = None if action.definition is None else supposing(action.definition)
        return replace(action, payload=Supposed(action.payload, action.payload.source), definition=inner)
    return action
