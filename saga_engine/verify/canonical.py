"""When two states count as one: what the decider never looks at again is left out, alike parallel steps change places.

Owns the key of a state, and with it what the exploration merges. A key that forgets too much would hide a fault; the
tests break the decider in many places to see that it does not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from saga_engine.core.plan import Node, Plan
from saga_engine.core.state import CompensationStatus, Phase, Progress, SagaState, StepState, StepStatus
from saga_engine.definition.model import Compensation, Retry
from saga_engine.verify.abstraction import is_open
from saga_engine.verify.participants import Slot
from saga_engine.verify.world import Fenced, World

_UNDONE = (CompensationStatus.UNDONE, CompensationStatus.NOTHING, CompensationStatus.RESOLVED)
_SETTLED = "settled"


class Canonical:
    """Makes keys for the worlds of one plan."""

    def __init__(self, plan: Plan, fenced: Fenced) -> None:
        self._groups = _alike(plan, fenced)
        self._retries = {place: _limits(node) for place, node in plan.nodes.items()}
        self._gates = frozenset(plan.gates)
        self._recent: dict[str, tuple[StepState, Slot | None, Phase, Hashable]] = {}
        self._undoable = frozenset(
            place for place, node in plan.nodes.items() if node.call is not None and node.call.compensation is not None
        )

    def key(self, world: World) -> int:
        """Equal for worlds from which the same can happen.

        64 bits, of which half a million states share one with a probability of about 10^-8 (birthday bound).
        """
        saga = world.saga
        steps: list[Hashable] = []
        for group in self._groups:
            if len(group) == 1:
                steps.append(self._step(world, group[0]))
            else:
                steps.append(tuple(sorted(hash(self._step(world, place)) for place in group)))
        parts = (
            saga.phase,
            saga.ended_as,
            saga.suspended,
            saga.cancel_requested,
            tuple(signal.name for signal in saga.signals),
            tuple(sorted(world.answers.items())),
            tuple(steps),
        )
        return hash(parts)

    def _step(self, world: World, place: str) -> Hashable:
        step = world.saga.steps.get(place)
        if step is None:
            return None
        if step.items is None:
            return self._one(world, place, place, step)
        items = [self._item(world, place, i) for i in range(len(step.items))]
        return (step.status, step.items_issued, step.items_succeeded, step.items_failed, *items)

    def _item(self, world: World, place: str, item: int) -> Hashable:
        name = f"{place}/{item}"
        step = world.saga.steps.get(name)
        return None if step is None else self._one(world, place, name, step)

    def _one(self, world: World, place: str, name: str, step: StepState) -> Hashable:
        """Most steps of a state are the very objects of the state before: what was said of those is said again."""
        slot, phase = world.slots.get(name), world.saga.phase
        recent = self._recent.get(name)
        if recent is not None and recent[0] is step and recent[1] is slot and recent[2] is phase:
            return recent[3]
        known = self._parts(world.saga, place, step, slot)
        self._recent[name] = (step, slot, phase, known)
        return known

    def _parts(self, saga: SagaState, place: str, step: StepState, slot: Slot | None) -> Hashable:
        if place not in self._gates and (
            self._is_settled(saga, step, slot) or self._has_nothing_to_undo(saga, place, step)
        ):
            return _SETTLED
        forward, backward = self._retries[place]
        out = step.status.in_flight
        unknown = step.status is StepStatus.UNKNOWN and step.undo is None
        return (
            step.status,
            step.undo,
            step.due is not None,
            unknown and step.ended_at < 0,
            step.fenced if out or unknown else None,
            _attempts(step.forward, forward) if out else None,
            None if step.undo is None or step.undo.settled else _attempts(step.backward, backward),
            None if slot is None else (slot.done, slot.undone, slot.expired),
        )

    def _is_settled(self, saga: SagaState, step: StepState, slot: Slot | None) -> bool:
        """While compensating: nothing stands of this step, and nothing more will be asked or heard about it."""
        if saga.phase is not Phase.COMPENSATING or (slot is not None and not slot.clean) or step.due is not None:
            return False
        return step.undo in _UNDONE or (step.undo is None and step.status in (StepStatus.REJECTED, StepStatus.SKIPPED))

    def _has_nothing_to_undo(self, saga: SagaState, place: str, step: StepState) -> bool:
        return saga.phase is Phase.COMPENSATING and place not in self._undoable and not step.waits


def _attempts(progress: Progress | None, limit: int | None) -> Hashable:
    """How much of its budget a command has used; without a limit the number of the attempt means nothing."""
    if progress is None:
        return None
    return (0 if limit is None else progress.attempt - progress.spent, progress.retry_at is not None)


def _limits(node: Node) -> tuple[int | None, int | None]:
    call = node.call
    if call is None:
        return None, None
    undo = None if call.compensation is None else call.compensation.retry.maximum_attempts
    return call.retry.maximum_attempts, undo


def _alike(plan: Plan, fenced: Fenced) -> Sequence[Sequence[str]]:
    """The steps in groups whose members differ in nothing but their names: they may change places."""
    groups: dict[Hashable, list[str]] = {}
    for place, node in plan.nodes.items():
        groups.setdefault(_shape(node, fenced), []).append(place)
    return tuple(tuple(group) for group in groups.values())


def _shape(node: Node, fenced: Fenced) -> Hashable:
    call = node.call
    if call is None or call.for_each is not None or node.guards:
        return node.place
    undo = call.compensation
    return (
        node.needs,
        node.dependents,
        call.kind,
        call.timeout,
        _retry(call.retry),
        is_open(call.payload.source),
        fenced(call.participant, call.command),
        None if undo is None else (*_undo(undo), undo.participant == call.participant),
    )


def _undo(undo: Compensation) -> tuple[Hashable, ...]:
    may_fail = undo.payload is not None and is_open(undo.payload.source)
    return undo.timeout, _retry(undo.retry), undo.on_exhausted, may_fail


def _retry(retry: Retry) -> Hashable:
    return retry.maximum_attempts, bool(retry.non_retryable_errors)
