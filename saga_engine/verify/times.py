"""The times that may run out. None has a length here: any may be the next, whatever its duration.

Save one order: the deadlines that count from the beginning of compensation come by length. A time runs out by making
the state older, so that the real decider finds it due at time zero and all others in the future.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from saga_engine.core.inputs import Due
from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState, StepStatus
from saga_engine.definition.model import Call
from saga_engine.verify.participants import Slot
from saga_engine.verify.world import Move, Scene, World

_NOW = Due(0)


def times(scene: Scene, world: World, places: Iterable[str]) -> Iterator[Move]:
    """The times of these steps and items that may run out."""
    saga = world.saga
    for place in places:
        step = saga.steps[place]
        yield from _timer(scene, world, place, step)
        call = scene.plan.nodes[scene.split(place)[0]].call
        if call is not None:
            yield from _command_times(saga, place, step, call)


def saga_times(scene: Scene, world: World) -> Iterator[Move]:
    """The times of the saga as a whole that may run out."""
    saga = world.saga
    if saga.phase is Phase.COMPENSATING:
        yield from _reply_deadline(scene, world)
    limit = scene.plan.definition.timeout_us
    if limit is not None and saga.phase is Phase.FORWARD:
        yield _passes("the saga's time limit passes", replace(saga, started_at=-limit), cost=1)


def younger(scene: Scene, saga: SagaState, quiet: tuple[str, ...]) -> SagaState:
    """The state with its beginnings at time zero again, after one of them had been made older.

    Of the commands in `quiet` it stays known that nobody can run them any more.
    """
    steps = saga.steps
    for place in quiet:
        call = scene.plan.nodes[scene.split(place)[0]].call
        if call is not None:
            steps = {**steps, place: replace(steps[place], ended_at=-call.timeout.reply_us)}
    began = None if saga.compensation_began_at is None else 0
    return replace(saga, started_at=0, compensation_began_at=began, steps=steps)


def _passes(
    told: str,
    saga: SagaState,
    slots: tuple[tuple[str, Slot], ...] = (),
    *,
    cost: int = 0,
    quiet: tuple[str, ...] = (),
) -> Move:
    return Move(told, _NOW, saga, slots, cost, fair=True, time=True, quiet=quiet)


def _older(saga: SagaState, place: str, step: StepState) -> SagaState:
    return replace(saga, steps={**saga.steps, place: step})


def _timer(scene: Scene, world: World, place: str, step: StepState) -> Iterator[Move]:
    if step.due is None:
        return
    call = scene.plan.nodes[scene.split(place)[0]].call
    if call is None:
        told = "is over" if step.status is StepStatus.SLEEPING else "runs out of time"
        yield _passes(f"{place} {told}", _older(world.saga, place, replace(step, due=0)))
        return
    slot = world.slots[place]
    older = _older(world.saga, place, replace(step, due=0, ended_at=-call.timeout.reply_us))
    # The last send was at time zero at the latest, so this timer must be as long as the reply time-out.
    slots = () if slot.fenced or step.due < call.timeout.reply_us else ((place, replace(slot, expired=True)),)
    yield _passes(f"the deadline of the last send of {place} passes", older, slots)


def _command_times(saga: SagaState, place: str, step: StepState, call: Call) -> Iterator[Move]:
    forward, backward = step.forward, step.backward
    if step.undo is not None and step.undo.in_flight and backward is not None and call.compensation is not None:
        if step.undo is CompensationStatus.RETRYING:
            older = replace(step, backward=replace(backward, retry_at=0))
            yield _passes(f"the compensation of {place} is tried again", _older(saga, place, older))
        total = call.compensation.timeout.total_us
        if total is not None:
            older = replace(step, backward=replace(backward, since=-total))
            yield _passes(f"undoing {place} takes too long (timeout.total)", _older(saga, place, older), cost=1)
    elif step.status.in_flight and forward is not None and saga.phase is Phase.FORWARD:
        if step.status is StepStatus.RETRYING:
            older = replace(step, forward=replace(forward, retry_at=0))
            yield _passes(f"{place} is tried again", _older(saga, place, older))
        if call.timeout.total_us is not None:
            older = replace(step, forward=replace(forward, since=-call.timeout.total_us))
            told = f"no answer about {place} within timeout.total"
            yield _passes(told, _older(saga, place, older), cost=1)


def _reply_deadline(scene: Scene, world: World) -> Iterator[Move]:
    """Commands that were out when compensation began are waited for until their reply time-out, the shortest first."""
    saga = world.saga
    waits: dict[str, int] = {}
    for place in saga.active:
        call = scene.plan.nodes[scene.split(place)[0]].call
        if call is not None and saga.steps[place].status.in_flight:
            waits[place] = call.timeout.reply_us
    if not waits:
        return
    first = min(waits.values())
    over = [place for place, wait in waits.items() if wait == first]
    slots = tuple((place, replace(world.slots[place], expired=True)) for place in over if not world.slots[place].fenced)
    told = f"no answer about {', '.join(over)} within timeout.reply of the beginning of compensation"
    yield _passes(told, replace(saga, compensation_began_at=-first), slots, cost=1, quiet=tuple(over))
