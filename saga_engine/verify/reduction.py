"""Which single step it is enough to look at, when what happens to it touches nothing else (a persistent set).

While a saga is being undone, a step behind which nothing is left to undo goes its own way: its moves commute with
those of all others, so one order stands for all (Godefroid, "Partial-Order Methods", 1996). `Transitions` checks that.
"""

from __future__ import annotations

from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState
from saga_engine.verify.world import Scene, World


class Reduction:
    """Finds lone steps in the worlds of one plan."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._before = {place: scene.plan.before(place) for place in scene.plan.nodes}

    def lone(self, world: World) -> str | None:
        """A step that is being undone, and nothing else will follow from that."""
        saga = world.saga
        if saga.phase is not Phase.COMPENSATING:
            return None
        for place in (*saga.active, *saga.blocked):
            name, item = self._scene.split(place)
            if item is None and _has_moves(saga, saga.steps[place]) and self._is_last(world, name):
                return place
        return None

    def _is_last(self, world: World, name: str) -> bool:
        """Whether nothing that this step needed is still to be undone."""
        for place, slot in world.slots.items():
            before = self._scene.split(place)[0]
            if before in self._before[name] and not slot.clean:
                call = self._scene.plan.nodes[before].call
                if call is not None and call.compensation is not None:
                    return False
        return True


def _has_moves(saga: SagaState, step: StepState) -> bool:
    if saga.suspended:
        return step.undo is CompensationStatus.ISSUED
    return not step.status.in_flight and (step.waits or step.needs_operator)
