"""The point of no return: the pivot, the retriable tail, and read-only steps on both sides of it."""

from __future__ import annotations

from saga_engine.core.events import CancelRequested, StepBlocked, StepFailed, StepRejected
from saga_engine.testing.expectations import command, event
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, reply, resolve, retry, skip
from tests.unit.core.sagas import PIVOT, saga

BESIDE = saga(
    """
    step: reserve, call: stock.reserve, compensate: {call: stock.release}
    step: charge, needs: [reserve], call: card.charge, kind: pivot
    step: look, needs: [reserve], call: p.look, kind: read_only, retry: {maximum_attempts: 1}
    step: ship, needs: [charge, look], call: post.ship, kind: retriable
    """
)
"""A read-only step beside the pivot."""

TAIL = saga(
    """
    step: reserve, call: stock.reserve, compensate: {call: stock.release}
    step: mail, needs: [reserve], call: post.mail, kind: retriable, with: {x: "${{ input.x.y }}"}
    step: ship, needs: [reserve], call: post.ship, kind: retriable
    step: bill, needs: [ship, mail], call: post.bill, kind: retriable
    """
)
"""Two retriable steps side by side, of which one has no value for its command, and one behind them."""


def _charging(text: str = PIVOT) -> Scenario:
    return given(text).started().when(reply("reserve").succeeded()).then_step("charge", "issued")


def test_a_rejected_pivot_compensates() -> None:
    refused = _charging().when(reply("charge").rejected("declined"))
    refused.then("StepRejected charge", "CompensationBegan charge", "CommandIssued reserve compensate")


def test_a_pivot_is_asked_until_the_reply_is_definite() -> None:
    scenario = _charging()
    for attempt in range(1, 40):
        failed = scenario.when(reply("charge").failed("unsure"))
        failed.then(event(StepFailed, attempt=attempt))
        scenario = failed.after("30s").then_commands(command("card.charge", attempt=attempt + 1))
    scenario.after("30d").then().when(reply("charge").rejected("declined")).then_status("compensating")


def test_an_unfenced_rejection_of_a_pivot_that_may_have_been_done_is_no_answer() -> None:
    asked = _charging().after("30s").when(reply("charge").send(2).unfenced().rejected("declined"))
    why = "it may have had an effect when tried before: the handler has no database to tell"
    asked.then(event(StepFailed, step="charge", fenced=False, retry_at=asked.now + 1_000_000, message=why))
    asked.after("1s").then("CommandIssued charge attempt 2")
    asked.when(reply("charge").unfenced().succeeded()).then("StepSucceeded charge", "CommandIssued ship")


def test_a_cancel_waits_for_the_outcome_of_an_open_pivot() -> None:
    asked = _charging().when(cancel("too late?"))
    asked.then(event(CancelRequested, accepted=True, why="too late?")).then_status("running")
    asked.when(cancel()).then_nothing().then_ignored("waits for the pivot's outcome already")
    asked.when(reply("charge").rejected("no")).then_status("compensating").then_failure("no", step="charge")
    asked.when(reply("charge").succeeded()).then("StepSucceeded charge", "CommandIssued ship").then_status("running")


def test_a_cancel_past_the_point_of_no_return_is_recorded_and_refused() -> None:
    passed = _charging().when(reply("charge").succeeded())
    passed.when(cancel()).then(event(CancelRequested, accepted=False)).then_status("running")


def test_the_saga_time_limit_does_nothing_past_the_point_of_no_return() -> None:
    text = PIVOT.replace("version: 1", "version: 1\ntimeout: 1h")
    _charging(text).after("2h").then()
    late = _charging(text).after("2h").when(reply("charge").rejected("declined"))
    late.then_failure("declined", step="charge")


def test_the_retriable_tail_is_tried_without_bound_and_a_rejection_counts_as_failed() -> None:
    scenario = _charging().when(reply("charge").succeeded())
    for attempt in range(1, 30):
        answer = reply("ship").rejected("full") if attempt % 2 else reply("ship").failed("broken")
        scenario = scenario.when(answer).then(event(StepFailed, step="ship", attempt=attempt)).after("30s")
    scenario.then_status("running").when(reply("ship").succeeded()).then("StepSucceeded ship", "SagaCompleted")


def test_the_first_retriable_step_is_the_point_of_no_return_without_a_pivot() -> None:
    text = saga(
        """
        step: reserve, call: stock.reserve, compensate: {call: stock.release}
        step: ship, call: post.ship, kind: retriable
        """
    )
    started = given(text).started()
    started.when(cancel()).then("CancelRequested", "CompensationBegan")
    passed = started.when(reply("reserve").succeeded())
    passed.when(cancel()).then(event(CancelRequested, accepted=False))
    passed.when(reply("ship").rejected("no")).then(event(StepFailed, step="ship", code="no"))


def test_a_skipped_pivot_is_no_point_of_no_return_but_the_tail_behind_it_is() -> None:
    text = saga(
        """
        step: charge, if: "${{ input.paid }}", call: card.charge, kind: pivot
        step: nap, sleep: 1h
        step: ship, call: post.ship, kind: retriable
        step: mail, call: post.mail, kind: retriable
        """
    )
    skipped = given(text).started({"paid": False})
    skipped.when(cancel()).then("CancelRequested", "CompensationBegan", "SagaCompensated")
    skipped.after("1h").when(cancel()).then(event(CancelRequested, accepted=False))


def test_a_read_only_step_before_the_point_of_no_return_fails_like_any_other() -> None:
    text = saga(
        """
        step: reserve, call: stock.reserve, compensate: {call: stock.release}
        step: look, call: p.look, kind: read_only, retry: {maximum_attempts: 1}
        step: ship, call: post.ship, kind: retriable
        """
    )
    looking = given(text).started().when(reply("reserve").succeeded())
    refused = looking.when(reply("look").rejected("no"))
    refused.then("StepRejected look", "CompensationBegan look", "CommandIssued reserve compensate")
    looking.when(reply("look").failed()).then(
        "StepFailed look", "CompensationBegan look", "CommandIssued reserve compensate"
    )


def test_a_read_only_step_beside_an_open_pivot_is_tried_without_bound() -> None:
    looking = _charging(BESIDE)
    refused = looking.when(reply("look").rejected("no")).then("StepFailed look")
    for _ in range(9):
        refused = refused.after("1m").when(reply("look").failed())
    refused.then_status("running").when(reply("look").succeeded()).then("StepSucceeded look")


def test_a_read_only_step_beside_a_rejected_pivot_is_awaited_and_has_nothing_to_undo() -> None:
    refused = _charging(BESIDE).when(reply("charge").rejected("declined"))
    refused.then("StepRejected charge", "CompensationBegan charge").then_due_in("30s")
    refused.when(reply("look").succeeded()).then("StepSucceeded look", "CommandIssued reserve compensate")
    refused.after("30s").then("StepGivenUp look", "CommandIssued reserve compensate")


def test_a_step_without_a_value_past_the_point_of_no_return_is_blocked_for_an_operator() -> None:
    both = given(TAIL.replace("needs: [reserve], call: post.mail", "needs: [ship], call: post.mail")).started({"x": 1})
    blocked = both.when(reply("reserve").succeeded(), reply("ship").succeeded())
    blocked.then_status("blocked").then_due_in(None)
    assert isinstance(blocked.events[-1], StepBlocked)
    blocked.when(retry("mail")).then("OperatorActed mail", "StepBlocked mail").then_status("blocked")
    blocked.when(skip("mail")).then("OperatorActed mail", "StepSkipped mail", "CommandIssued bill")
    blocked.when(resolve()).then("OperatorActed mail", "StepSucceeded mail", "CommandIssued bill")


def test_a_gate_without_a_value_before_the_point_of_no_return_compensates() -> None:
    reserved = given(TAIL).started({"x": 1}).when(reply("reserve").succeeded())
    reserved.then(
        "StepSucceeded reserve",
        event(StepRejected, step="mail", code="expression"),
        "CompensationBegan mail",
        "CommandIssued reserve compensate",
    )


def test_a_step_blocked_beside_a_pivot_does_not_hold_up_its_compensation() -> None:
    text = BESIDE.replace("call: p.look,", 'call: p.look, with: {x: "${{ input.x.y }}"},')
    blocked = given(text).started({"x": 1})
    blocked = blocked.when(reply("reserve").succeeded()).then_status("blocked").then_step("look", "blocked")
    refused = blocked.when(reply("charge").rejected("declined")).then_status("compensating")
    refused.then("StepRejected charge", "CompensationBegan charge", "CommandIssued reserve compensate")
    refused.when(retry()).then_nothing().then_refused("does not allow retry")
    refused.when(compensation("reserve").succeeded()).then("StepCompensated reserve", "SagaCompensated")


def test_a_retriable_loop_is_the_point_of_no_return_once_one_of_its_items_was_issued() -> None:
    text = saga(
        """
        step: reserve, call: stock.reserve, compensate: {call: stock.release}
        step: ship, call: post.ship, kind: retriable, for_each: {in: "${{ input.items }}"}, with: {n: "${{ item.n }}"}
        step: nap, sleep: 1h
        """
    )
    reserved = given(text)
    empty = reserved.started({"items": []}).when(reply("reserve").succeeded()).then_step("ship", "succeeded")
    empty.when(cancel()).then("CancelRequested", "CompensationBegan", "CommandIssued reserve compensate")
    broken = reserved.started({"items": [1, {"n": 1}]}).when(reply("reserve").succeeded())
    broken.then_status("compensating").then_failure("expression", step="ship")
    late = reserved.started({"items": [{"n": 1}, 1]}).when(reply("reserve").succeeded()).then_status("blocked")
    late.when(cancel()).then(event(CancelRequested, accepted=False))
    late.when(reply("ship", 0).succeeded(), skip("ship", 1)).then_step("ship", "succeeded").then_step("nap", "sleeping")
    late.when(retry("ship", 1)).then("OperatorActed ship/1", "StepBlocked ship/1")
