"""The decider, the plan and the participants broken on purpose, a line at a time: the exploration must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from saga_engine.core import backward, decider, due, forward, plan, state, timing
from saga_engine.core.decider import Ignored
from saga_engine.core.draft import Draft
from saga_engine.core.events import SagaCompensated
from saga_engine.core.inputs import ReplyReceived
from saga_engine.core.plan import Plan
from saga_engine.core.state import StepStatus
from saga_engine.verify import moves, participants, transition
from tests.unit.verify.support import FORK, LINEAR, LOOP, PIVOT, WAITS, broken_rule, explored, without_inbox

Break = Callable[[pytest.MonkeyPatch], None]


def no_compensation_for_unknown_outcomes(patch: pytest.MonkeyPatch) -> None:
    known = property(lambda step: step.status is StepStatus.SUCCEEDED)
    patch.setattr(state.StepState, "may_have_effect", known)


def compensation_order_not_reversed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "_dependents_settled", lambda _draft, _node: True)


def compensation_looks_at_one_dependent_only(patch: pytest.MonkeyPatch) -> None:
    def first_only(draft: Draft, node: plan.Node) -> bool:
        return all(backward._settled(draft.state, draft.node(place)) for place in node.dependents[:1])

    patch.setattr(backward, "_dependents_settled", first_only)


def compensation_looks_at_the_last_dependent_only(patch: pytest.MonkeyPatch) -> None:
    def last_only(draft: Draft, node: plan.Node) -> bool:
        return all(backward._settled(draft.state, draft.node(place)) for place in node.dependents[-1:])

    patch.setattr(backward, "_dependents_settled", last_only)


def a_retry_after_a_rejection(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forward, "must_succeed", lambda _plan, _state, _node: True)


def forward_commands_after_compensation_began(patch: pytest.MonkeyPatch) -> None:
    def open_whatever(draft: Draft, places: Iterable[str]) -> None:
        for place in places:
            node = draft.node(place)
            if place not in draft.state.steps and draft.plan.is_open(draft.state, node):
                forward.open_step(draft, node)

    patch.setattr(forward, "open_ready", open_whatever)


def the_tombstone_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(participants, "tombstone", lambda slot: replace(slot, undone=True))


def joins_that_do_not_wait(patch: pytest.MonkeyPatch) -> None:
    def any_need(self: Plan, saga: state.SagaState, node: plan.Node) -> bool:
        closed = [saga.steps.get(need) for need in node.needs]
        return not closed or any(step is not None and step.status is StepStatus.SUCCEEDED for step in closed)

    patch.setattr(Plan, "is_open", any_need)


def attempts_without_bound(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(forward, "budget_left", lambda _retry, _progress, _code: True)


def compensation_past_the_point_of_no_return(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Plan, "past_no_return", lambda _self, _state: False)


def a_skipped_compensation_reported_as_compensated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state.CompensationStatus, "effect_stands", property(lambda _self: False))


def an_end_that_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    def end_at_once(draft: Draft) -> None:
        if not draft.state.blocked:
            draft.add(SagaCompensated(draft.at))

    patch.setattr(backward, "_end", end_at_once)


def a_retry_that_is_never_due(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timing, "falls_due", lambda *_args: ())


def a_command_that_is_never_sent_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moves, "open_commands", lambda _plan, _state: iter(()))


def a_cancel_that_is_forgotten_with_commands_out(patch: pytest.MonkeyPatch) -> None:
    def give_up_nothing(draft: Draft, place: str, step: state.StepState) -> None:
        if not step.status.in_flight:
            due_step(draft, place, step)

    due_step = due._due_step
    patch.setattr(due, "_due_step", give_up_nothing)


def a_decider_that_raises(patch: pytest.MonkeyPatch) -> None:
    patch.delattr(decider, "_cancel")


def commands_sent_while_suspended(patch: pytest.MonkeyPatch) -> None:
    def reply_regardless(draft: Draft, reply: ReplyReceived) -> Ignored | None:
        suspended = draft.state.suspended
        draft.state = replace(draft.state, suspended=False)
        ignored = take_reply(draft, reply)
        draft.state = replace(draft.state, suspended=suspended)
        return ignored

    take_reply = decider._reply
    patch.setattr(decider, "_reply", reply_regardless)


def leftovers_of_tolerated_items(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backward, "compensate_tolerated", lambda _draft, _node: None)
    patch.setattr(forward, "_leftovers", lambda *_args: False)


@pytest.mark.parametrize(
    ("break_it", "text", "rule"),
    [
        (no_compensation_for_unknown_outcomes, LINEAR, "every effect is undone"),
        (no_compensation_for_unknown_outcomes, FORK, "every effect is undone"),
        (compensation_order_not_reversed, LINEAR, "compensation in reverse dependency order"),
        (compensation_order_not_reversed, FORK, "compensation in reverse dependency order"),
        (compensation_looks_at_one_dependent_only, FORK, "compensation in reverse dependency order"),
        (compensation_looks_at_the_last_dependent_only, FORK, "compensation in reverse dependency order"),
        (a_retry_after_a_rejection, LINEAR, "a rejection is final"),
        (forward_commands_after_compensation_began, LINEAR, "no forward command once compensation began"),
        (the_tombstone_missing, LINEAR, "every effect is undone"),
        (joins_that_do_not_wait, FORK, "forward in dependency order"),
        (attempts_without_bound, LINEAR, "attempts are limited"),
        (compensation_past_the_point_of_no_return, PIVOT, "no compensation past the point of no return"),
        (a_skipped_compensation_reported_as_compensated, LINEAR, "closed means not undone"),
        (an_end_that_does_not_wait, LINEAR, "every effect is undone"),
        (a_retry_that_is_never_due, LINEAR, "times are announced"),
        (a_command_that_is_never_sent_again, LINEAR, "every saga ends"),
        (a_cancel_that_is_forgotten_with_commands_out, LINEAR, "every saga ends"),
        (a_decider_that_raises, LINEAR, "the decider is total"),
        (commands_sent_while_suspended, LINEAR, "nothing is sent while suspended"),
        (leftovers_of_tolerated_items, LOOP, "completed means done"),
    ],
)
def test_a_broken_decider_is_found(break_it: Break, text: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it(monkeypatch)
    result = explored(text, faults=3)
    assert broken_rule(result) == rule
    assert result.counter_example is not None
    assert result.counter_example.happened[0].told == "the saga is started"


def test_a_compensation_that_does_not_wait_for_the_last_send_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "_is_quiet", lambda _draft, _node, _item, _step: True)
    assert broken_rule(explored(LINEAR, fenced=without_inbox)) == "every effect is undone"


def test_a_timer_shorter_than_the_reply_time_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, "quiet_from", lambda _state, step, _timeout: step.ended_at + 1)
    assert broken_rule(explored(LINEAR, fenced=without_inbox)) == "every effect is undone"


def test_a_time_that_nobody_announces_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transition, "next_due", lambda _plan, _state, _now: None)
    assert broken_rule(explored(WAITS)) == "times are announced"
