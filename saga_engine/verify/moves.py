"""Everything that may happen next in a state of the explored system, always in the same order.

Owns what people and the outside world may do; replies and times are elsewhere. Knows no property.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from saga_engine.core.events import Direction, Verb
from saga_engine.core.inputs import Cancel, Due, Operate, Resume, Signal, Start, Suspend
from saga_engine.core.state import Phase, SagaState, StepStatus, split
from saga_engine.core.timing import open_commands
from saga_engine.definition.model import Wait
from saga_engine.verify.participants import run_late
from saga_engine.verify.replies import replies
from saga_engine.verify.times import saga_times, times
from saga_engine.verify.world import Move, Scene, World

SUSPENSION: Final = 2
"""As many faults as a suspension counts for: it takes two people's acts, and doubles all that can happen."""

_WHO, _WHY = "operator", "verify"


def moves(scene: Scene, world: World, lone: str | None = None) -> Iterator[Move]:
    """All that may happen now. `lone`: what happens to this step, and to the saga as a whole, is enough to look at."""
    saga = world.saga
    if saga.phase is Phase.NEW:
        yield Move("the saga is started", Start(0, "", "", 1, None), saga, fair=True)
        return
    asked: dict[str, frozenset[Direction]] = {}
    for out in open_commands(scene.plan, saga):
        asked[out.place] = asked.get(out.place, frozenset()) | {out.direction}
    for place in world.slots if lone is None else (lone,):
        slot = world.slots[place]
        if slot.may_run_late:
            told = f"the late command of {place} reaches its participant, and runs"
            yield Move(told, None, saga, ((place, run_late(slot)),))
        yield from replies(scene, saga, place, slot, asked.get(place, frozenset()))
    if saga.phase is Phase.ENDED:
        yield Move("time passes", Due(0), saga)
        return
    yield from times(scene, world, tuple(saga.active) if lone is None else (lone,))
    if lone is None:
        yield from saga_times(scene, world)
        yield from _signals(scene, saga)
    yield from _people(saga, saga.blocked if lone is None else (lone,))


def _people(saga: SagaState, places: Iterable[str]) -> Iterator[Move]:
    if saga.phase is Phase.FORWARD:
        yield Move("somebody cancels the saga", Cancel(0, _WHO, _WHY), saga)
    if saga.suspended:
        yield Move("an operator resumes the saga", Resume(0, _WHO, _WHY), saga, fair=True)
        return
    yield Move("an operator suspends the saga", Suspend(0, _WHO, _WHY), saga, cost=SUSPENSION)
    for place in places:
        name, item = split(place)
        for verb in Verb if saga.steps[place].needs_operator else ():
            told = f"an operator says {verb} to {place}"
            yield Move(told, Operate(0, verb, _WHO, _WHY, name, item), saga, fair=True)


def _signals(scene: Scene, saga: SagaState) -> Iterator[Move]:
    """A signal for each wait that is not over, also before it begins; at most one of a name is kept."""
    names: dict[str, None] = {}
    for place, node in scene.plan.nodes.items():
        step = saga.steps.get(place)
        if isinstance(node.action, Wait) and (step is None or step.status is StepStatus.WAITING):
            names[node.action.event] = None
    for name in names:
        if all(signal.name != name for signal in saga.signals):
            signal_id = f"{name}-{len(saga.signal_ids)}"
            yield Move(f"the signal {name} comes", Signal(0, signal_id, name, None), saga)
