"""The replies that may arrive: to a command and to its compensation, first ones, repeated ones and late ones.

Owns what a participant may answer. An answer of failure is a fault; a rejection is not, it is business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from saga_engine.core.events import Direction, Effect
from saga_engine.core.inputs import Outcome, ReplyReceived
from saga_engine.core.state import SagaState, StepState, StepStatus, UndoStatus, split
from saga_engine.core.timing import must_succeed
from saga_engine.definition.model import Call, Compensation, Kind, Retry
from saga_engine.verify.abstraction import FAILURE_CODE
from saga_engine.verify.participants import Done, Slot, undo
from saga_engine.verify.world import Move, Scene


@dataclass(frozen=True, slots=True)
class Place:
    """One command with all that is known of it. `asked`: in which directions it is sent until it is answered."""

    place: str
    saga: SagaState
    step: StepState
    call: Call
    slot: Slot
    asked: frozenset[Direction]

    def reply(self, direction: Direction, outcome: Outcome, attempt: int, *, send: int = 1, code: str = "") -> Reply:
        name, item = split(self.place)
        return Reply(self, ReplyReceived(0, name, item, direction, attempt, send, outcome, None, code))


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply in the making: says what it changes at the participant, and what it costs."""

    place: Place
    received: ReplyReceived

    def move(
        self, told: str, after: Slot | None = None, *, effect: Effect = Effect.UNDONE, cost: int = 0, fair: bool = False
    ) -> Move:
        at = self.place
        given = replace(self.received, effect=effect, fenced=at.slot.fenced)
        return Move(told, given, at.saga, () if after is None else ((at.place, after),), cost, fair)


def replies(scene: Scene, saga: SagaState, place: str, slot: Slot, asked: frozenset[Direction]) -> Iterator[Move]:
    """All replies about one place that may arrive now."""
    call = scene.plan.nodes[split(place)[0]].call
    step = saga.steps[place]
    if call is None or step.forward is None:
        return
    at = Place(place, saga, step, call, slot, asked)
    if slot.may_succeed:
        fair = Direction.FORWARD in asked
        yield at.reply(Direction.FORWARD, Outcome.SUCCEEDED, step.forward.attempt).move(
            f"{call.participant} has done {place}, and its reply arrives", replace(slot, done=Done.YES), fair=fair
        )
    strict = must_succeed(scene.plan, saga, scene.plan.nodes[split(place)[0]])
    yield from _rejections(at, step.forward.attempt, strict=strict)
    yield from _failures(at, step.forward.attempt, strict=strict)
    if call.compensation is not None and step.backward is not None:
        yield from _undone(at, call.compensation, step.backward.attempt)


def _rejections(at: Place, attempt: int, *, strict: bool) -> Iterator[Move]:
    """`strict`: a worker answers `failed` instead. Only a read may have been sent before and be answered after."""
    slot, call = at.slot, at.call
    told = f"{call.participant} rejects {at.place}"
    rejected = at.reply(Direction.FORWARD, Outcome.REJECTED, attempt, code="rejected")
    if strict:
        if call.kind is Kind.READ_ONLY and at.step.status is StepStatus.ISSUED:
            yield rejected.move(f"{told}, asked before the point of no return", cost=1)
    elif slot.fenced or attempt == 1:
        if slot.done is not Done.YES:
            yield rejected.move(told, replace(slot, done=Done.NO))
    else:
        yield rejected.move(f"{told}, which had been asked before and has no inbox: effect unknown")
    if not strict and not slot.fenced and attempt == 1 and at.step.status is StepStatus.ISSUED:
        again = at.reply(Direction.FORWARD, Outcome.REJECTED, attempt, send=2, code="rejected")
        yield again.move(f"{told} when asked again, and has no inbox: effect unknown", cost=1)


def _failures(at: Place, attempt: int, *, strict: bool) -> Iterator[Move]:
    waiting = at.step.status is StepStatus.ISSUED
    if waiting:
        for code in _codes(at.call.retry, strict=strict):
            told = f"{at.call.participant} fails at {at.place} ({code}): effect unknown"
            yield at.reply(Direction.FORWARD, Outcome.FAILED, attempt, code=code).move(told, cost=1)
    earlier = attempt - 1 if waiting else attempt
    if earlier and (attempt > 1 or at.step.status is StepStatus.RETRYING):
        told = f"the reply to attempt {earlier} of {at.place} arrives again"
        yield at.reply(Direction.FORWARD, Outcome.FAILED, earlier, code=FAILURE_CODE).move(told)


def _undone(at: Place, how: Compensation, attempt: int) -> Iterator[Move]:
    fair = Direction.COMPENSATE in at.asked
    for after, effect in undo(at.slot):
        found = "undoes" if effect is Effect.UNDONE else "finds nothing to undo of"
        yield at.reply(Direction.COMPENSATE, Outcome.SUCCEEDED, attempt).move(
            f"{how.participant} {found} {at.place}, and its reply arrives", after, effect=effect, fair=fair
        )
    waiting = at.step.undo is UndoStatus.ISSUED
    if waiting:
        for code in _codes(how.retry, strict=False):
            told = f"{how.participant} fails to undo {at.place} ({code})"
            yield at.reply(Direction.COMPENSATE, Outcome.FAILED, attempt, code=code).move(told, cost=1)
    earlier = attempt - 1 if waiting else attempt
    if earlier and (attempt > 1 or at.step.undo is UndoStatus.RETRYING):
        told = f"the reply to attempt {earlier} at undoing {at.place} arrives again"
        yield at.reply(Direction.COMPENSATE, Outcome.FAILED, earlier, code=FAILURE_CODE).move(told)


def _codes(retry: Retry, *, strict: bool) -> tuple[str, ...]:
    """A failure that may be tried again, and one that the author says may not."""
    known = retry.non_retryable_errors
    return (FAILURE_CODE,) if strict or not known or FAILURE_CODE in known else (FAILURE_CODE, known[0])
