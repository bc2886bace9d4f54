"""The same command for every item of a list: so many at a time, tolerated failures, results in item order."""

from __future__ import annotations

from saga_engine.core.events import CommandIssued, Direction, ItemsFixed, StepFailed, StepRejected
from saga_engine.testing.expectations import command, event, published
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply, resolve, resume, skip, suspend
from tests.unit.core.sagas import saga


def loop(each: str = "", *, compensate: str = "{call: p.undo}", retry: str = "maximum_attempts: 1") -> str:
    """A loop over `input.items` between a step before and a step behind it."""
    text = saga(
        """
        step: root, call: p.root, compensate: {call: p.undo_root}
        step: each, call: p.do, EACH, with: {n: "${{ item.n }}"}, retry: {RETRY}, emit: Done, compensate: UNDO
        step: end, call: p.end, with: {all: "${{ steps.each.result }}"}, compensate: none
        """
    )
    for_each = 'for_each: {in: "${{ input.items }}", as: item' + each + "}"
    return text.replace("EACH", for_each).replace("RETRY", retry).replace("UNDO", compensate)


def opened(text: str, count: int = 3) -> Scenario:
    return given(text).started({"items": [{"n": n} for n in range(count)]}).when(reply("root").succeeded())


def test_the_items_are_fixed_and_each_gets_a_command_of_its_own() -> None:
    all_out = opened(loop())
    all_out.then(
        "StepSucceeded root",
        event(ItemsFixed, step="each", items=({"n": 0}, {"n": 1}, {"n": 2})),
        "CommandIssued each/0",
        "CommandIssued each/1",
        "CommandIssued each/2",
    )
    all_out.then_commands(*[command("p.do", item=n, payload={"n": n}) for n in range(3)]).then_step("each", "open")


def test_results_come_in_the_order_of_the_items_however_they_were_answered() -> None:
    done = opened(loop()).when(reply("each", 2).succeeded("c"), reply("each", 0).succeeded("a"))
    done.then("StepSucceeded each/2", "StepSucceeded each/0").then_published()
    closed = done.when(reply("each", 1).succeeded("b"))
    closed.then("StepSucceeded each/1", "StepSucceeded each", "CommandIssued end")
    closed.then_commands(command("p.end", payload={"all": ["a", "b", "c"]}))
    closed.then_published(published("Done", ["a", "b", "c"]))


def test_only_so_many_items_are_out_at_a_time() -> None:
    first = opened(loop(", max_parallel: 2"), 4).then_commands("p.do", "p.do")
    next_one = first.when(reply("each", 1).succeeded()).then("StepSucceeded each/1", "CommandIssued each/2")
    last = next_one.when(reply("each", 0).succeeded()).then("StepSucceeded each/0", "CommandIssued each/3")
    last.when(reply("each", 2).succeeded()).then("StepSucceeded each/2")


def test_an_empty_list_closes_the_step_at_once() -> None:
    empty = opened(loop(), 0).then("StepSucceeded root", "ItemsFixed each", "StepSucceeded each", "CommandIssued end")
    empty.then_commands(command("p.end", payload={"all": []}))


def test_what_is_no_list_fails_the_step() -> None:
    for items in ("text", 3, {"a": 1}, None):
        failed = given(loop()).started({"items": items}).when(reply("root").succeeded())
        failed.then(
            "StepSucceeded root",
            event(StepRejected, step="each", code="expression", message="`for_each.in` must be a list"),
            "CompensationBegan each",
            "CommandIssued root compensate",
        )
    missing = given(loop()).started({}).when(reply("root").succeeded())
    missing.then_failure("expression", step="each")


def test_one_failure_too_many_fails_the_step_and_undoes_every_item_that_was_issued() -> None:
    two = opened(loop(", max_parallel: 2"), 4).when(reply("each", 0).succeeded())
    failed = two.when(reply("each", 1).rejected("bad", "no good"))
    failed.then("StepRejected each/1", "CompensationBegan each", "CommandIssued each/0 compensate")
    assert failed.state.failure is not None
    assert failed.state.failure.message == "item 1: no good"
    late = failed.when(compensation("each", 0).succeeded()).then("StepCompensated each/0")
    undone = late.when(reply("each", 2).succeeded()).then("StepSucceeded each/2", "CommandIssued each/2 compensate")
    undone.when(compensation("each", 2).succeeded()).then("StepCompensated each/2", "CommandIssued root compensate")


def test_items_are_undone_so_many_at_a_time_too() -> None:
    done = opened(loop(", max_parallel: 2"), 3).when(*[reply("each", n).succeeded() for n in range(3)])
    failed = done.when(reply("end").rejected("no"))
    failed.then(
        "StepRejected end",
        "CompensationBegan end",
        "CommandIssued each/0 compensate",
        "CommandIssued each/1 compensate",
    )
    failed.when(compensation("each", 1).succeeded()).then("StepCompensated each/1", "CommandIssued each/2 compensate")


def test_a_tolerated_rejection_leaves_a_gap_in_the_results() -> None:
    done = opened(loop(", tolerate: 1")).when(
        reply("each", 0).succeeded("a"), reply("each", 1).rejected("bad"), reply("each", 2).succeeded("c")
    )
    done.then_commands(command("p.end", payload={"all": ["a", None, "c"]})).then_status("running")


def test_one_more_failure_than_tolerated_fails_the_step() -> None:
    two = opened(loop(", tolerate: 1")).when(reply("each", 0).rejected("bad"), reply("each", 1).rejected("bad"))
    two.then("StepRejected each/0", "StepRejected each/1", "CompensationBegan each").then_status("compensating")


def test_a_tolerated_item_of_unknown_outcome_is_undone_inside_the_step() -> None:
    failed = opened(loop(", tolerate: 1"), 2).when(reply("each", 0).succeeded("a"), reply("each", 1).failed("broken"))
    failed.then("StepSucceeded each/0", "StepFailed each/1", "CommandIssued each/1 compensate").then_status("running")
    failed.when(compensation("each", 1).succeeded()).then(
        "StepCompensated each/1", "StepSucceeded each", "CommandIssued end"
    )


def test_the_compensation_of_a_tolerated_item_sees_its_item_its_result_and_its_failure() -> None:
    text = loop(
        ", tolerate: 9",
        compensate='{call: p.undo, with: {n: "${{ item.n }}", why: "${{ failure.code }}",'
        ' got: "${{ steps.each.result != null ? steps.each.result : 0 }}"},'
        ' emit: {event: Undone, data: {n: "${{ item.n }}", why: "${{ failure.message }}"}}}',
    )
    failed = opened(text, 2).when(reply("each", 1).failed("broken", "quite"))
    failed.then_commands(command("p.undo", item=1, payload={"n": 1, "why": "broken", "got": 0}))
    failed.when(compensation("each", 1).succeeded()).then_published(published("Undone", {"n": 1, "why": "quite"}))
    later = opened(text, 1).when(reply("each", 0).succeeded({"id": 7}), reply("end").rejected("no", "late"))
    later.then_commands("p.end", command("p.undo", item=0, payload={"n": 0, "why": "no", "got": {"id": 7}}))
    later.when(compensation("each", 0).succeeded()).then_published(published("Undone", {"n": 0, "why": "late"}))


def test_a_tolerated_item_that_is_given_up_is_undone_when_its_last_send_cannot_run_any_more() -> None:
    text = loop(", tolerate: 1").replace("emit: Done", "timeout: {reply: 10s, total: 1m}, emit: Done")
    silent = opened(text, 2).when(reply("each", 0).succeeded("a"))
    given_up = silent.after("1m").then("StepGivenUp each/1", "TimerSet each/1").then_due_in("10s")
    quiet = given_up.after("10s").then("TimerFired each/1", "CommandIssued each/1 compensate")
    quiet.when(compensation("each", 1).succeeded()).then(
        "StepCompensated each/1", "StepSucceeded each", "CommandIssued end"
    )


def test_a_tolerated_item_whose_undoing_is_blocked_waits_for_an_operator() -> None:
    text = loop(", tolerate: 1", compensate="{call: p.undo, retry: {maximum_attempts: 1}}")
    held = opened(text, 1).when(reply("each", 0).failed(), compensation("each", 0).failed("broken"))
    held.then_status("blocked")
    for verb in (skip("each", 0), resolve("each", 0)):
        on = held.when(verb).then("OperatorActed each/0", "StepSucceeded each", "CommandIssued end")
        on.when(reply("end").succeeded()).then_status("completed")


def test_a_tolerated_item_whose_undoing_runs_out_of_time_may_be_left_standing() -> None:
    text = loop(", tolerate: 1", compensate="{call: p.undo, timeout: {total: 5m}, on_exhausted: continue}")
    failed = opened(text, 1).when(reply("each", 0).failed())
    failed.after("5m").then("CompensationFailed each/0", "StepSucceeded each", "CommandIssued end")


def test_what_comes_behind_a_loop_is_undone_before_what_stands_before_it() -> None:
    text = loop(", tolerate: 1", compensate="{call: p.undo}").replace(
        "step: end, call: p.end",
        "step: more, call: p.more, compensate: {call: p.undo_more}}\n  - {step: end, call: p.end",
    )
    on = opened(text, 1).when(reply("each", 0).failed(), compensation("each", 0).succeeded(), reply("more").succeeded())
    failed = on.when(reply("end").rejected("no"))
    failed.then("StepRejected end", "CompensationBegan end", "CommandIssued more compensate")
    failed.when(compensation("more").succeeded()).then("StepCompensated more", "CommandIssued root compensate")


def test_an_item_without_a_value_is_a_failure_of_that_item() -> None:
    tolerated = given(loop(", tolerate: 1")).started({"items": [{"n": 1}, {}]}).when(reply("root").succeeded())
    tolerated.then(
        "StepSucceeded root", "ItemsFixed each", "CommandIssued each/0", event(StepRejected, item=1, code="expression")
    )
    tolerated.when(reply("each", 0).succeeded(1)).then(
        "StepSucceeded each/0", "StepSucceeded each", "CommandIssued end"
    )
    failed = given(loop()).started({"items": [{}, {"n": 1}]}).when(reply("root").succeeded())
    failed.then_failure("expression", step="each").then_commands("p.undo_root")


def test_a_loop_whose_items_all_failed_within_tolerance_goes_on() -> None:
    none = given(loop(", tolerate: 2")).started({"items": [{}, {}]}).when(reply("root").succeeded())
    none.then_commands(command("p.end", payload={"all": [None, None]}))
    one = opened(loop(", tolerate: 1"), 1).when(reply("each", 0).rejected("bad"))
    one.then("StepRejected each/0", "StepSucceeded each", "CommandIssued end")


def test_items_are_tried_again_one_by_one() -> None:
    text = loop(retry="initial_interval: 1s, jitter: none")
    failed = opened(text, 2).when(reply("each", 1).failed()).then(event(StepFailed, item=1, attempt=1))
    failed.after("1s").then("CommandIssued each/1 attempt 2").then_commands(command("p.do", item=1, payload={"n": 1}))


def test_no_item_is_issued_while_suspended_and_the_rest_follow_on_resume() -> None:
    text = loop(", max_parallel: 1, tolerate: 1")
    held = opened(text, 3).when(suspend(), reply("each", 0).failed())
    held.then("Suspended", "StepFailed each/0").then_commands()
    resumed = held.when(resume()).then("Resumed", "CommandIssued each/0 compensate", "CommandIssued each/1")
    last = resumed.when(compensation("each", 0).succeeded(), reply("each", 1).succeeded(), suspend())
    last = last.when(reply("each", 2).succeeded("c")).then("StepSucceeded each/2", "StepSucceeded each").then_commands()
    last.when(resume()).then("Resumed", "CommandIssued end")


def test_a_cancel_awaits_the_items_in_flight_and_issues_no_more() -> None:
    two = opened(loop(", max_parallel: 2"), 4).when(reply("each", 0).succeeded(), cancel())
    two.then(
        "StepSucceeded each/0",
        "CommandIssued each/2",
        "CancelRequested",
        "CompensationBegan",
        "CommandIssued each/0 compensate",
    )
    gone = two.when(compensation("each", 0).succeeded()).after("30s")
    issued = [e for e in gone.stream if isinstance(e, CommandIssued) and e.direction is Direction.COMPENSATE]
    assert [(e.step, e.item) for e in issued] == [("each", 0), ("each", 1), ("each", 2)]


def test_an_item_that_was_undone_inside_the_step_is_not_undone_again() -> None:
    on = opened(loop(", tolerate: 1"), 2).when(
        reply("each", 0).failed(), compensation("each", 0).succeeded(), reply("each", 1).succeeded()
    )
    failed = on.when(reply("end").rejected("no"))
    failed.then("StepRejected end", "CompensationBegan end", "CommandIssued each/1 compensate")
    failed.when(compensation("each", 1).succeeded()).then("StepCompensated each/1", "CommandIssued root compensate")


def test_the_undoing_of_a_tolerated_item_goes_on_when_the_saga_is_compensated_meanwhile() -> None:
    failed = opened(loop(", tolerate: 1"), 2).when(reply("each", 0).failed(), cancel(), reply("each", 1).rejected("no"))
    failed.then_status("compensating").when(compensation("each", 0).succeeded()).then(
        "StepCompensated each/0", "CommandIssued root compensate"
    )


def test_a_loop_with_nothing_to_undo_goes_on_over_unknown_items() -> None:
    done = opened(loop(", tolerate: 1", compensate="none"), 1).when(reply("each", 0).failed())
    done.then("StepFailed each/0", "StepSucceeded each", "CommandIssued end")
