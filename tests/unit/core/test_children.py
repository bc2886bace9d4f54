"""Child sagas: run inside the parent's stream, with input, steps and output of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saga_engine.core.compiling import compile_plan
from saga_engine.core.events import StepRejected
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Definition
from saga_engine.testing.expectations import command, event
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply
from tests.unit.core.sagas import saga

CHILD = """
saga: pay
version: 2
output: {receipt: "${{ steps.debit.result.no }}", of: "${{ input.amount }}"}
steps:
  - {step: reserve, call: bank.reserve, with: {n: "${{ input.amount }}"}, compensate: {call: bank.release}}
  - step: debit
    call: bank.debit
    with: {n: "${{ input.amount }}", by: "${{ steps.reserve.result }}", whole: "${{ saga.key }}"}
    compensate: {call: bank.refund, with: {why: "${{ failure.code }}", n: "${{ input.amount }}"}}
"""
PARENT = saga(
    """
    step: order, call: shop.order, compensate: {call: shop.reject}
    step: pay, saga: pay, with: {amount: "${{ steps.order.result.sum }}"}
    step: send, call: post.send, with: {paid: "${{steps.pay.result}}", was: "${{steps.pay.status}}"}, compensate: none
    """
)


def paying(parent: str = PARENT, child: str = CHILD) -> Scenario:
    return given(parent, children=[child]).started({"go": True}).when(reply("order").succeeded({"sum": 9}))


def test_a_child_runs_with_its_own_input_and_steps() -> None:
    reserved = paying().then("StepSucceeded order", "CommandIssued pay/reserve")
    reserved.then_commands(command("bank.reserve", step="pay/reserve", payload={"n": 9}))
    debit = reserved.when(reply("pay/reserve").succeeded("r"))
    debit.then_commands(command("bank.debit", payload={"n": 9, "by": "r", "whole": "key-1"}))


def test_the_parent_sees_the_childs_output_as_the_steps_result() -> None:
    paid = paying().when(reply("pay/reserve").succeeded(), reply("pay/debit").succeeded({"no": 5}))
    paid.then_commands(
        "bank.debit", command("post.send", payload={"paid": {"receipt": 5, "of": 9}, "was": "succeeded"})
    )


def test_a_child_without_an_output_has_no_result() -> None:
    text = CHILD.replace('output: {receipt: "${{ steps.debit.result.no }}", of: "${{ input.amount }}"}', "")
    paid = paying(child=text).when(reply("pay/reserve").succeeded(), reply("pay/debit").succeeded({"no": 5}))
    paid.then_commands("bank.debit", command("post.send", payload={"paid": None, "was": "succeeded"}))


def test_an_output_without_a_value_fails_the_step_that_reads_it() -> None:
    paid = paying().when(reply("pay/reserve").succeeded(), reply("pay/debit").succeeded({}))
    paid.then(
        "StepSucceeded pay/reserve",
        "CommandIssued pay/debit",
        "StepSucceeded pay/debit",
        event(StepRejected, step="send", code="expression"),
        "CompensationBegan send",
        "CommandIssued pay/debit compensate",
    )


def test_undoing_goes_through_the_child_in_reverse_and_across_its_border() -> None:
    paid = paying().when(reply("pay/reserve").succeeded(), reply("pay/debit").succeeded({"no": 5}))
    refused = paid.when(reply("send").rejected("lost")).then_commands(
        command("bank.refund", payload={"why": "lost", "n": 9})
    )
    first = refused.when(compensation("pay/debit").succeeded()).then_commands("bank.release")
    second = first.when(compensation("pay/reserve").succeeded()).then_commands("shop.reject")
    second.when(compensation("order").succeeded()).then_status("compensated")


def test_a_failure_inside_a_child_compensates_the_whole() -> None:
    refused = paying().when(reply("pay/reserve").succeeded(), reply("pay/debit").rejected("declined"))
    refused.then_failure("declined", step="pay/debit").then_commands("bank.debit", "bank.release")


def test_a_skipped_child_skips_all_its_steps_and_closes() -> None:
    text = PARENT.replace("step: pay, saga: pay,", 'step: pay, if: "${{ input.go }}", saga: pay,')
    paying(text).then_step("pay/reserve", "issued")
    skipped = given(text, children=[CHILD]).started({"go": False}).when(reply("order").succeeded({"sum": 9}))
    skipped.then("StepSucceeded order", "StepSkipped pay/reserve", "StepSkipped pay/debit", "CommandIssued send")
    skipped.then_commands(command("post.send", payload={"paid": None, "was": "skipped"}))


def test_an_input_without_a_value_fails_the_first_step_of_the_child_that_reads_it() -> None:
    ordered = given(PARENT, children=[CHILD]).started().when(reply("order").succeeded({}))
    ordered.then_failure("expression", step="pay/reserve").then_commands("shop.reject")


def test_children_nest_and_independent_ones_run_side_by_side() -> None:
    outer = saga(
        """
        step: inner, saga: pay, with: {amount: "${{ input.amount }}"}
        step: after, call: p.after, compensate: none
        """
    ).replace("saga: trip", "saga: outer")
    whole = saga(
        """
        step: one, needs: [], saga: outer, with: {amount: 1}
        step: two, needs: [], saga: pay, with: {amount: 2}
        step: end, needs: [one, two], call: p.end, compensate: none
        """
    )
    started = given(whole, children=[CHILD, outer]).started()
    started.then_commands(
        command("bank.reserve", step="one/inner/reserve", payload={"n": 1}),
        command("bank.reserve", step="two/reserve", payload={"n": 2}),
    )
    done = [
        reply(f"{child}/{step}").succeeded({"no": 1}) for child in ("one/inner", "two") for step in ("reserve", "debit")
    ]
    half = started.when(*done).then_step("one/after", "issued").then_step("end", "not opened")
    half.when(reply("one/after").succeeded()).then("StepSucceeded one/after", "CommandIssued end")


def test_a_cancel_inside_a_child_awaits_what_is_in_flight() -> None:
    cancelled = paying().when(cancel()).then("CancelRequested", "CompensationBegan")
    cancelled.after("30s").then("StepGivenUp pay/reserve", "CommandIssued pay/reserve compensate")


def test_a_definition_that_was_not_expanded_or_is_unsound_makes_no_plan() -> None:
    whole = given(PARENT, children=[CHILD]).plan.definition
    bare = _loaded(PARENT)
    with pytest.raises(ValueError, match="child saga pay of step pay was not expanded"):
        compile_plan(bare)
    lost = replace(whole, steps=(replace(whole.steps[0], needs=("nowhere",)), *whole.steps[1:]))
    with pytest.raises(ValueError, match="step nowhere is needed but does not exist"):
        compile_plan(lost)


def _loaded(text: str) -> Definition:
    loaded = load_text(text.encode(), "parent.yaml")
    assert isinstance(loaded, Loaded)
    return loaded.definition
