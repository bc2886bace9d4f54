"""Which waits of a saga an event of others ends, as its definition says with `on`, for whoever shows a wait.

Owns finding them. How a wait is worded is each view's.
"""

from __future__ import annotations

from collections.abc import Mapping

from saga_engine.core.plan import Plan
from saga_engine.definition.model import Wait


def heard(plan: Plan) -> Mapping[str, str]:
    """By place of a `wait`, the subject on which it hears; a wait for the signal alone is absent."""
    return {
        place: node.action.on.subject
        for place, node in plan.nodes.items()
        if isinstance(node.action, Wait) and node.action.on is not None
    }
