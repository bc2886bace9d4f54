"""The replies that may arrive: to a command and to its compensation, first ones, repeated ones and late ones.

Owns what a participant may answer. An answer of failure is a fault; a rejection is not, it is business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.core.state import CompensationStatus, SagaState, StepState, StepStatus
from saga_engine.core.timing import must_succeed
from saga_engine.definition.model import Call, Compensation, Kind, Retry
from saga_engine.verify.abstraction import FAILURE_CODE
from saga_engine.verify.participants import Done, Slot, done, refused, undo
from saga_engine.verify.world import Move, Scene


@dataclass(frozen=True, slots=True)
class Place:
    """One command with all that is known of it. `asked`: in which directions it is sent until it is answered."""

    place: str
    name: str
    item: int | None
    saga: SagaState
    step: StepState
    call: Call
    slot: Slot
    asked: frozenset[Direction]

    def succeeded(
        self, direction: Direction, attempt: int, told: str, after: Slot, effect: Effect = Effect.UNDONE
    ) -> Move:
        given = ReplyReceived(
            0, self.name, self.item, direction, attempt, 1, Outcome.SUCCEEDED, effect=effect, fenced=self.slot.fenced
        )
        return Move(told, given, self.saga, ((self.place, after),), fair=direction in self.asked)

    def rejected(self, attempt: int, told: str, after: Slot | None = None, *, send: int = 1, cost: int = 0) -> Move:
        fenced = self.slot.fenced
        given = ReplyReceived(
            0, self.name, self.item, Direction.FORWARD, attempt, send, Outcome.REJECTED, code="rejected", fenced=fenced
        )
        return Move(told, given, self.saga, () if after is None else ((self.place, after),), cost)

    def failed(self, direction: Direction, attempt: int, told: str, code: str = FAILURE_CODE, *, cost: int = 0) -> Move:
        fenced = self.slot.fenced
        given = ReplyReceived(0, self.name, self.item, direction, attempt, 1, Outcome.FAILED, code=code, fenced=fenced)
        return Move(told, given, self.saga, cost=cost)


def replies(scene: Scene, saga: SagaState, place: str, slot: Slot, asked: frozenset[Direction]) -> Iterator[Move]:
    """All replies about one place that may arrive now."""
    name, item = scene.split(place)
    node, step = scene.plan.nodes[name], saga.steps[place]
    call = node.call
    if call is None or step.forward is None:
        return
    at, attempt = Place(place, name, item, saga, step, call, slot, asked), step.forward.attempt
    if slot.done is not Done.NO:
        told = f"{call.participant} has done {place}, and its reply arrives"
        yield at.succeeded(Direction.FORWARD, attempt, told, done(slot))
    strict = must_succeed(scene.plan, saga, node)
    yield from _rejections(at, attempt, strict=strict)
    yield from _failures(at, attempt, strict=strict)
    if call.compensation is not None and step.backward is not None:
        yield from _undone(at, call.compensation, step.backward.attempt)


def _rejections(at: Place, attempt: int, *, strict: bool) -> Iterator[Move]:
    """`strict`: a worker answers `failed` instead. Only a read may have been sent before and be answered after."""
    slot, call = at.slot, at.call
    told, waiting = f"{call.participant} rejects {at.place}", at.step.status is StepStatus.ISSUED
    if strict:
        if call.kind is Kind.READ_ONLY and waiting:
            yield at.rejected(attempt, f"{told}, asked before the point of no return", cost=1)
    elif slot.fenced or attempt == 1:
        if slot.done is not Done.YES:
            yield at.rejected(attempt, told, refused(slot))
        if waiting and not slot.fenced:
            yield at.rejected(attempt, f"{told} when asked again, without an inbox: effect unknown", send=2, cost=1)
    else:
        yield at.rejected(attempt, f"{told}, asked before and without an inbox: effect unknown")


def _failures(at: Place, attempt: int, *, strict: bool) -> Iterator[Move]:
    waiting = at.step.status is StepStatus.ISSUED
    if waiting:
        for code in _codes(at.call.retry, strict=strict):
            told = f"{at.call.participant} fails at {at.place} ({code}): effect unknown"
            yield at.failed(Direction.FORWARD, attempt, told, code, cost=1)
    earlier = attempt - 1 if waiting else attempt
    if earlier and (attempt > 1 or at.step.status is StepStatus.RETRYING):
        told = f"the reply to attempt {earlier} of {at.place} arrives again"
        yield at.failed(Direction.FORWARD, earlier, told)


def _undone(at: Place, how: Compensation, attempt: int) -> Iterator[Move]:
    for after, effect in undo(at.slot):
        found = "undoes" if effect is Effect.UNDONE else "finds nothing to undo of"
        told = f"{how.participant} {found} {at.place}, and its reply arrives"
        yield at.succeeded(Direction.COMPENSATE, attempt, told, after, effect)
    waiting = at.step.undo is CompensationStatus.ISSUED
    if waiting:
        for code in _codes(how.retry, strict=False):
            told = f"{how.participant} fails to undo {at.place} ({code})"
            yield at.failed(Direction.COMPENSATE, attempt, told, code, cost=1)
    earlier = attempt - 1 if waiting else attempt
    if earlier and (attempt > 1 or at.step.undo is CompensationStatus.RETRYING):
        told = f"the reply to attempt {earlier} at undoing {at.place} arrives again"
        yield at.failed(Direction.COMPENSATE, earlier, told)


def _codes(retry: Retry, *, strict: bool) -> tuple[str, ...]:
    """A failure that may be tried again, and one that the author says may not."""
    known = retry.non_retryable_errors
    return (FAILURE_CODE,) if strict or not known or FAILURE_CODE in known else (FAILURE_CODE, known[0])
