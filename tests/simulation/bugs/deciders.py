"""Bugs of the decider: order, directions, the point of no return, what is undone. The model check finds most too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from saga_engine.core import backward, decider, due, forward, state, timing
from saga_engine.core.decider import Ignored
from saga_engine.core.draft import Draft
from saga_engine.core.events import Direction
from saga_engine.core.inputs import ReplyReceived
from saga_engine.core.plan import Node, Plan, compensation_of
from saga_engine.core.state import Phase, SagaState, StepState, StepStatus
from saga_engine.core.timing import Follows
from saga_engine.definition.model import Kind
from tests.simulation.bugs.seeded import Model, Replacement, SeededBug, seeded
from tests.unit.verify.support import FORK, LINEAR, LOOP, PIVOT

_UNDONE: Final = "every effect is undone"
_REVERSE: Final = "compensation in reverse dependency order"


@seeded("B5", "C3", "D3", model=Model(LINEAR, _UNDONE))
def only_confirmed_steps_compensated() -> Iterator[Replacement]:
    """What never answered has not happened, so there is nothing to undo."""
    confirmed = property(lambda step: step.status is StepStatus.SUCCEEDED)
    yield Replacement(state.StepState, "may_have_effect", confirmed)


@seeded("A3", "B5", "C3", "D2", "D3", "D4")
def direction_of_a_reply_guessed_from_the_status() -> Iterator[Replacement]:
    """A saga that is being compensated gets replies to compensations, one that runs gets replies to its steps."""
    real = decider._reply

    def reply(draft: Draft, given: ReplyReceived) -> Ignored | None:
        undoing = draft.state.phase is Phase.COMPENSATING
        return real(draft, replace(given, direction=Direction.COMPENSATE if undoing else Direction.FORWARD))

    yield Replacement(decider, "_reply", reply)


@seeded("B6", "C4", model=Model(LINEAR, _REVERSE))
def compensation_in_forward_order() -> Iterator[Replacement]:
    """A step is undone when all that it needs is undone: the steps are gone through from the first to the last."""

    def needs_settled(draft: Draft, node: Node) -> bool:
        return all(backward._settled(draft.state, draft.node(place)) for place in node.needs)

    yield Replacement(backward, "_dependents_settled", needs_settled)


@seeded("B6", "C4", model=Model(FORK, _REVERSE))
def compensation_before_all_dependents_are_undone() -> Iterator[Replacement]:
    """A step is undone when one of those that depend on it is undone."""

    def first_settled(draft: Draft, node: Node) -> bool:
        return all(backward._settled(draft.state, draft.node(place)) for place in node.dependents[:1])

    yield Replacement(backward, "_dependents_settled", first_settled)


@seeded("A3", "B4", model=Model(LINEAR, _REVERSE, faults=3))
def forward_commands_while_compensating() -> Iterator[Replacement]:
    """A step that succeeds opens what comes after it, whatever has become of the saga meanwhile."""
    real = decider._reply

    def reply(draft: Draft, given: ReplyReceived) -> Ignored | None:
        ignored = real(draft, given)
        if ignored is None and given.direction is Direction.FORWARD:
            _open_whatever(draft, draft.node(given.step).dependents)
        return ignored

    yield Replacement(decider, "_reply", reply)


def _open_whatever(draft: Draft, places: Iterable[str]) -> None:
    for place in places:
        node = draft.node(place)
        ended = draft.state.phase is Phase.ENDED
        if not ended and place not in draft.state.steps and draft.plan.is_open(draft.state, node):
            forward.open_step(draft, node)


@seeded("A3", "B6", model=Model(FORK, "forward in dependency order"))
def a_join_that_closes_after_its_first_branch() -> Iterator[Replacement]:
    """A step is opened by the first of those that it needs."""

    def any_need(self: Plan, saga: SagaState, node: Node) -> bool:
        closed = [saga.steps.get(need) for need in node.needs]
        return not closed or any(step is not None and step.status is StepStatus.SUCCEEDED for step in closed)

    yield Replacement(Plan, "is_open", any_need)


@seeded("A3", "B7", "C3", "E2")
def a_pivot_given_up_on_silence() -> Iterator[Replacement]:
    """A pivot that has been asked twice and does not answer is given up as any other step."""
    real = timing.falls_due

    def falls_due(plan: Plan, saga: SagaState, node: Node, step: StepState) -> tuple[tuple[int, Follows], ...]:
        call, times = node.call, real(plan, saga, node, step)
        silent = step.status is StepStatus.ISSUED and call is not None and call.kind is Kind.PIVOT
        if not silent or call is None or step.forward is None:
            return times
        return (*times, (step.forward.since + 2 * call.timeout.reply_us, Follows.GIVING_UP))

    yield Replacement(timing, "falls_due", falls_due)
    yield Replacement(due, "falls_due", falls_due)


@seeded("A3", "B7", model=Model(PIVOT, "no compensation past the point of no return"))
def compensation_past_the_point_of_no_return() -> Iterator[Replacement]:
    """A cancel or the saga's time-out compensates what has been done so far, wherever the saga stands."""
    yield Replacement(Plan, "past_no_return", lambda _self, _state: False)


@seeded("A3", "C3", model=Model(LINEAR, "closed means not undone", faults=3))
def a_skip_counted_as_compensated() -> Iterator[Replacement]:
    """A compensation that was skipped is settled, and a saga whose compensations are settled is compensated."""
    yield Replacement(state.CompensationStatus, "effect_stands", property(lambda _self: False))


@seeded("B5", "C3", "D3", model=Model(LOOP, _UNDONE))
def the_last_item_not_compensated() -> Iterator[Replacement]:
    """The items of a step are counted from one."""
    real = backward._slots

    def slots(saga: SagaState, node: Node) -> Iterator[tuple[int | None, StepState]]:
        step = saga.steps.get(node.place)
        last = len(step.items) - 1 if step is not None and step.items else None
        return (slot for slot in real(saga, node) if slot[0] is None or slot[0] != last)

    yield Replacement(backward, "_slots", slots)


@seeded("A3", "B5", "B9", "D4")
def an_item_compensated_twice() -> Iterator[Replacement]:
    """Each answer to a compensation goes through the items once more and undoes what has succeeded."""

    def compensate(draft: Draft, node: Node) -> None:
        compensation = compensation_of(node)
        if compensation is None:
            return
        for item, step in list(backward._slots(draft.state, node)):
            if step.may_have_effect and (step.undo is None or (item is not None and step.undo.in_flight)):
                backward.issue_compensation(draft, node, item, step, compensation)

    yield Replacement(backward, "_compensate", compensate)


@seeded("C3", "C5", "C7", model=Model(LINEAR, _UNDONE, fenced=False))
def compensation_not_held_until_the_last_deadline() -> Iterator[Replacement]:
    """A step without an inbox is compensated as soon as it is given up, though its command may still run."""
    yield Replacement(backward, "_is_quiet", lambda _draft, _node, _item, _step: True)


@seeded("B9", "E1", "E2", model=Model(LINEAR, "attempts are limited"))
def attempts_without_bound() -> Iterator[Replacement]:
    """What has failed is tried again until it works."""
    yield Replacement(forward, "budget_left", lambda _retry, _progress, _code: True)


BUGS: Final[tuple[SeededBug, ...]] = (
    only_confirmed_steps_compensated,
    direction_of_a_reply_guessed_from_the_status,
    compensation_in_forward_order,
    compensation_before_all_dependents_are_undone,
    forward_commands_while_compensating,
    a_join_that_closes_after_its_first_branch,
    a_pivot_given_up_on_silence,
    compensation_past_the_point_of_no_return,
    a_skip_counted_as_compensated,
    the_last_item_not_compensated,
    an_item_compensated_twice,
    compensation_not_held_until_the_last_deadline,
    attempts_without_bound,
)
