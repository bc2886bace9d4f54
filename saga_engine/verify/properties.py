"""What must hold whatever happens, checked on every transition by its events alone and on every state.

Owns the properties (the invariants A3, B1, B4 to B7, B9, C1 to C7 and D3 of a saga). Independent of how the decider
reaches its decisions: it knows the graph, the events and the participants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saga_engine.core import events as e
from saga_engine.core.decider import Decided
from saga_engine.core.events import Direction, Event
from saga_engine.core.outgoing import SendCommand
from saga_engine.core.plan import Node
from saga_engine.core.state import CompensationStatus, Phase, SagaState, StepState, StepStatus, address
from saga_engine.definition.model import Kind, Sleep
from saga_engine.verify.participants import Done, Slot
from saga_engine.verify.world import Move, Scene, Violation, World

_CLOSED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.TIMED_OUT)
_BY_HAND = (CompensationStatus.RESOLVED, CompensationStatus.EXHAUSTED, CompensationStatus.SKIPPED)
_FINAL_KINDS = (Kind.PIVOT, Kind.RETRIABLE)
_ENDS = (e.SagaCompleted, e.SagaCompensated, e.SagaClosed)
_OPENS = (e.StepSkipped, e.ItemsFixed, e.TimerSet)


class Properties:
    """The properties of one saga."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._nodes = scene.plan.nodes
        self._behind = {place: scene.plan.behind(place) for place in scene.plan.nodes}

    def _node(self, place: str) -> Node:
        return self._nodes[self._scene.split(place)[0]]

    def check(self, before: World, move: Move, decided: Decided | None, after: World) -> Violation | None:
        """The first property that a transition breaks. `decided` None: only something at a participant happened."""
        if decided is not None:
            if before.saga.phase is Phase.ENDED:
                return Violation("ended is ended", f"a saga that had ended went on: {type(decided.events[0]).__name__}")
            for violation in self._events(before, move.saga, decided.events, after):
                return violation
            for violation in _sends(decided):
                return violation
        if after.saga.phase is Phase.ENDED:
            return next(self._end(after), None)
        return None

    def _events(self, before: World, met: SagaState, events: tuple[Event, ...], after: World) -> Iterator[Violation]:
        closed = {place for place in self._nodes if _is_closed(met.steps.get(place))}
        compensating, suspended = met.phase is Phase.COMPENSATING, met.suspended
        for index, event in enumerate(events):
            if isinstance(event, e.CommandIssued):
                if suspended:
                    yield Violation("nothing is sent while suspended", f"{event.step} was")
                if event.direction is Direction.COMPENSATE:
                    yield from self._compensation(event, after)
                else:
                    yield from self._command(event, before, closed, compensating=compensating)
            elif isinstance(event, _OPENS) and not _is_deadline(event, self._nodes):
                yield from self._in_order(event.step, closed)
            elif isinstance(event, e.CompensationBegan):
                compensating = True
                yield from self._before_no_return(after)
            elif isinstance(event, e.Suspended | e.Resumed):
                suspended = isinstance(event, e.Suspended)
            elif isinstance(event, _ENDS) and index < len(events) - 1:
                yield Violation("ended is ended", f"{type(events[index + 1]).__name__} after the end")
            closed.update(_closes(event, self._nodes))

    def _in_order(self, place: str, closed: set[str]) -> Iterator[Violation]:
        for need in self._nodes[place].needs:
            if need not in closed:
                yield Violation("forward in dependency order", f"{place} was opened before {need} was done")

    def _command(
        self, event: e.CommandIssued, before: World, closed: set[str], *, compensating: bool
    ) -> Iterator[Violation]:
        place, node = address(event.step, event.item), self._nodes[event.step]
        if compensating:
            what = f"the command of {place} was issued after compensation had begun"
            yield Violation("no forward command once compensation began", what)
        yield from self._in_order(event.step, closed)
        slot, call = before.slots.get(place), node.call
        again = slot is not None and slot.done is Done.NO
        if again and call is not None and call.kind in (Kind.COMPENSATABLE, Kind.PIVOT):
            yield Violation("a rejection is final", f"{place} was tried again after it had been rejected")
        # A read past the point of no return is tried without bound.
        unbounded = call is None or (call.kind is Kind.READ_ONLY and any(self._passed(before)))
        limit = None if call is None or unbounded else call.retry.maximum_attempts
        if limit is not None and event.attempt > limit:
            yield Violation("attempts are limited", f"attempt {event.attempt} of {place}, of {limit} allowed")

    def _compensation(self, event: e.CommandIssued, after: World) -> Iterator[Violation]:
        place, slot = address(event.step, event.item), after.slots.get(address(event.step, event.item))
        if slot is None:
            yield Violation("only what was issued is compensated", f"{place} was compensated without ever being issued")
        elif event.attempt == 1 and slot.done is Done.NO and not slot.undone:
            yield Violation("only what can have happened is compensated", f"{place} was compensated, though rejected")
        for gate in self._passed(after):
            yield Violation("no compensation past the point of no return", f"{place} was compensated after {gate}")
        for name, other in after.slots.items():
            if self._scene.split(name)[0] in self._behind[event.step] and not self._is_settled(name, other, after.saga):
                what = f"{place} is compensated while {name}, which came after it, may still have its effect"
                yield Violation("compensation in reverse dependency order", what)

    def _is_settled(self, name: str, slot: Slot, saga: SagaState) -> bool:
        """Whether what a step depends on may be undone: it has no effect, or is given up, or has nothing to undo."""
        step, call = saga.steps[name], self._node(name).call
        if slot.clean or step.undo in _BY_HAND:
            return True
        return call is not None and call.compensation is None and not step.status.in_flight

    def _passed(self, world: World) -> Iterator[str]:
        """The steps whose issue was the point of no return."""
        for name, slot in world.slots.items():
            call = self._node(name).call
            if call is not None and call.kind in _FINAL_KINDS and slot.done is not Done.NO:
                yield name

    def _before_no_return(self, after: World) -> Iterator[Violation]:
        for gate in self._passed(after):
            yield Violation("no compensation past the point of no return", f"compensation began after {gate}")

    def _end(self, world: World) -> Iterator[Violation]:
        saga = world.saga
        if saga.ended_as is not None and saga.ended_as.value == "completed":
            for place, node in self._nodes.items():
                yield from self._completed(world, place, node)
            return
        stands = False
        for name, slot in world.slots.items():
            call, step = self._node(name).call, saga.steps[name]
            stands = stands or step.undo in (CompensationStatus.EXHAUSTED, CompensationStatus.SKIPPED)
            if call is None or slot.clean or step.undo in _BY_HAND:
                continue
            if call.compensation is not None:
                yield Violation("every effect is undone", _left_over(name, slot, saga))
            elif call.kind in _FINAL_KINDS:
                yield Violation("every effect is undone", f"{name}, past the point of no return, may have its effect")
        if stands is (saga.ended_as is not None and saga.ended_as.value == "compensated"):
            yield Violation("closed means not undone", f"the saga ended {saga.ended_as}, though that is not so")

    def _completed(self, world: World, place: str, node: Node) -> Iterator[Violation]:
        step = world.saga.steps.get(place)
        if not _is_closed(step):
            yield Violation("joins close", f"the saga completed, but {place} never did")
            return
        call = node.call
        loop = call is not None and call.for_each is not None
        for name, slot in world.slots.items():
            if self._scene.split(name)[0] != place or world.saga.steps[name].undo in _BY_HAND:
                continue
            tolerated = loop and (slot.clean or (call is not None and call.compensation is None))
            if (slot.done is not Done.YES or slot.undone) and not tolerated:
                what = f"the saga completed, but {name} {'is undone' if slot.undone else 'may have had no effect'}"
                yield Violation("completed means done", what)


def _left_over(name: str, slot: Slot, saga: SagaState) -> str:
    ended = f"the saga ended {saga.ended_as}, and"
    if slot.done is Done.YES and slot.undone is False and saga.steps[name].undo is not None:
        return f"{ended} {name} has its effect: its command ran after its compensation"
    if slot.may_run_late:
        return f"{ended} the late command of {name} may still run: nothing at its participant refuses it"
    return f"{ended} {name} {'has' if slot.done is Done.YES else 'may have'} its effect, which nobody undoes"


def _sends(decided: Decided) -> Iterator[Violation]:
    """What leaves is what was decided: one send for every command issued, and no other."""
    issued = [
        (event.step, event.item, event.direction, event.attempt)
        for event in decided.events
        if isinstance(event, e.CommandIssued)
    ]
    sent = [
        (out.step, out.item, out.direction, out.attempt) for out in decided.outgoing if isinstance(out, SendCommand)
    ]
    if issued != sent:
        yield Violation("the stream is the outbox", f"issued {issued}, sent {sent}")


def _is_closed(step: StepState | None) -> bool:
    return step is not None and step.status in _CLOSED


def _closes(event: Event, nodes: Mapping[str, Node]) -> Iterator[str]:
    """The step that an event closes, so that those behind it may be opened."""
    match event:
        case e.StepSucceeded(item=None) | e.StepSkipped():
            yield event.step
        case e.TimerFired() if isinstance(nodes[event.step].action, Sleep):
            yield event.step
        case _:
            pass


def _is_deadline(event: e.StepSkipped | e.ItemsFixed | e.TimerSet, nodes: Mapping[str, Node]) -> bool:
    """A timer of a command: the deadline of its last send."""
    return isinstance(event, e.TimerSet) and nodes[event.step].call is not None
