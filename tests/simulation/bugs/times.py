"""Bugs about time and signals: timers that fire early, twice or not at all, and signals that are taken twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from saga_engine.core import decider, due, steps, timing
from saga_engine.core.decider import Decision
from saga_engine.core.draft import Draft
from saga_engine.core.events import Event, StepSucceeded
from saga_engine.core.inputs import Signal
from saga_engine.core.plan import Node, Plan
from saga_engine.core.state import SagaState, StepState, StepStatus
from saga_engine.core.timing import Follows
from saga_engine.orchestrator import transact
from tests.simulation.bugs.seeded import Replacement, SeededBug, seeded


@seeded("B8")
def a_timer_fired_early() -> Iterator[Replacement]:
    """A saga that is looked at because something of it is due is due with all of it."""
    real = timing.falls_due

    def falls_due(plan: Plan, saga: SagaState, node: Node, step: StepState) -> tuple[tuple[int, Follows], ...]:
        return tuple((0 if what is Follows.TIMER else at, what) for at, what in real(plan, saga, node, step))

    yield Replacement(due, "falls_due", falls_due)


@seeded("B8", "A3")
def a_timer_that_fires_after_its_signal() -> Iterator[Replacement]:
    """The time limit of a wait is not put aside when its signal comes."""
    real = steps.succeeded

    def succeeded(saga: SagaState, event: StepSucceeded) -> SagaState:
        before, after = saga.steps[event.step], real(saga, event)
        if before.status is not StepStatus.WAITING or before.due is None:
            return after
        still_due = replace(after.steps[event.step], due=before.due)
        return replace(after, steps={**after.steps, event.step: still_due}, active={**after.active, event.step: None})

    yield Replacement(steps, "succeeded", succeeded)


@seeded("A3")
def a_signal_taken_twice() -> Iterator[Replacement]:
    """A signal that comes again is another signal."""
    real = decider._signal

    def signal(draft: Draft, given: Signal) -> Decision | None:
        draft.state = replace(draft.state, signal_ids=frozenset())
        return real(draft, given)

    yield Replacement(decider, "_signal", signal)


@seeded("E1")
def a_saga_that_nobody_looks_at_again() -> Iterator[Replacement]:
    """Only steps with a time limit of their own are due at some time; the others are waited for."""

    def due_after(plan: Plan, saga: SagaState, events: Sequence[Event], before: int | None, now: int) -> int | None:
        times = [
            at for place in saga.active for at, _ in timing.falls_due(plan, saga, plan.at(place), saga.steps[place])
        ]
        return min(times, default=None)

    yield Replacement(transact, "due_after", due_after)


BUGS: Final[tuple[SeededBug, ...]] = (
    a_timer_fired_early,
    a_timer_that_fires_after_its_signal,
    a_signal_taken_twice,
    a_saga_that_nobody_looks_at_again,
)
