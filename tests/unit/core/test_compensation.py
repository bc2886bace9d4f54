"""Undoing: in the reverse order of the graph, what was done or may have been, and nothing else."""

from __future__ import annotations

from saga_engine.core.events import CompensationFailed, Effect, StepBlocked, StepGivenUp, TimerSet
from saga_engine.testing.expectations import command, event, published
from saga_engine.testing.given import given
from saga_engine.testing.moves import cancel, compensation, reply
from tests.unit.core.sagas import BOOK, FAN, saga


def test_a_rejection_undoes_the_steps_before_it_in_reverse() -> None:
    two = given(BOOK).started().when(reply("flight").succeeded("f"), reply("hotel").succeeded("h"))
    refused = two.when(reply("car").rejected("none_left", "sold out"))
    refused.then("StepRejected car", "CompensationBegan car", "CommandIssued hotel compensate")
    refused.then_commands("inn.cancel").then_status("compensating").then_failure("none_left", step="car")
    undone = refused.when(compensation("hotel").succeeded())
    undone.then("StepCompensated hotel", "CommandIssued flight compensate").then_commands("air.cancel")
    ended = undone.when(compensation("flight").succeeded())
    ended.then("StepCompensated flight", "SagaCompensated").then_status("compensated").then_due_in(None)


def test_a_saga_that_has_done_nothing_is_compensated_at_once() -> None:
    given(BOOK).started().when(reply("flight").rejected("no")).then(
        "StepRejected flight", "CompensationBegan flight", "SagaCompensated"
    )


def test_a_compensation_gets_the_forward_payload_or_its_own() -> None:
    text = saga(
        """
        step: one, call: p.one, with: {n: 1}, compensate: {call: p.undo_one}
        step: two, call: p.two, compensate: {call: p.undo, with: {why: "${{ failure.code }}", of: "${{failure.step}}"}}
        step: end, call: p.end, compensate: none
        """
    )
    failed = given(text).started().when(reply("one").succeeded(), reply("two").succeeded(), reply("end").rejected("no"))
    failed.then_commands("p.two", "p.end", command("p.undo", payload={"why": "no", "of": "end"}))
    failed.when(compensation("two").succeeded()).then_commands(command("p.undo_one", payload={"n": 1}))


def test_the_branches_of_a_graph_are_undone_side_by_side_before_their_root() -> None:
    joined = (
        given(FAN)
        .started()
        .when(
            reply("open").succeeded(),
            reply("left").succeeded(),
            reply("right").succeeded(),
            reply("join").rejected("no"),
        )
    )
    joined.then_step("join", "rejected").then_commands("p.left", "p.right", "p.join", "p.undo_right", "p.undo_left")
    half = joined.when(compensation("left").succeeded()).then("StepCompensated left").then_commands()
    half.when(compensation("right").succeeded()).then("StepCompensated right", "CommandIssued open compensate")


def test_what_lies_before_a_skipped_or_read_only_step_waits_for_what_lies_behind_it() -> None:
    text = saga(
        """
        step: first, call: p.first, compensate: {call: p.undo_first}
        step: look, call: p.look, kind: read_only
        step: gift, if: false, call: p.gift, compensate: {call: p.undo_gift}
        step: nap, sleep: 1s
        step: last, call: p.last, compensate: {call: p.undo_last}
        """
    ).replace("if: false", 'if: "${{ input.gift }}"')
    begun = given(text).started({"gift": False}).when(reply("first").succeeded(), reply("look").succeeded()).after("1s")
    undoing = begun.when(cancel(), reply("last").succeeded())
    undoing.then("CancelRequested", "CompensationBegan", "StepSucceeded last", "CommandIssued last compensate")
    undoing.when(compensation("last").succeeded()).then("StepCompensated last", "CommandIssued first compensate")


def test_a_step_in_flight_is_awaited_to_its_reply_deadline_and_then_undone_as_unknown() -> None:
    flying = given(BOOK).started().when(reply("flight").succeeded(), cancel())
    flying.then("StepSucceeded flight", "CommandIssued hotel", "CancelRequested", "CompensationBegan").then_due_in(
        "30s"
    )
    waited = flying.after("29s").then_nothing()
    unknown = waited.after("1s")
    unknown.then(event(StepGivenUp, step="hotel", code="gave_up"), "CommandIssued hotel compensate")
    unknown.when(compensation("hotel").succeeded(effect=Effect.NONE)).then(
        "StepCompensated hotel without effect", "CommandIssued flight compensate"
    )


def test_no_forward_command_is_sent_again_once_compensation_began() -> None:
    flying = given(BOOK).started().when(reply("flight").succeeded(), cancel())
    assert [sent.name for sent in flying.after("29s").commands] == []
    assert [sent.name for sent in flying.after("1h").commands if sent.direction.value == "forward"] == []


def test_a_step_in_flight_that_is_rejected_meanwhile_needs_no_undoing() -> None:
    flying = given(BOOK).started().when(reply("flight").succeeded(), cancel())
    flying.when(reply("hotel").rejected("full")).then("StepRejected hotel", "CommandIssued flight compensate")


def test_a_step_in_flight_that_fails_meanwhile_is_undone_and_not_tried_again() -> None:
    flying = given(BOOK).started().when(reply("flight").succeeded(), cancel())
    flying.when(reply("hotel").failed()).then("StepFailed hotel", "CommandIssued hotel compensate")


def test_a_step_that_waits_for_its_next_attempt_is_given_up_when_compensation_begins() -> None:
    waiting = given(BOOK).started().when(reply("flight").failed(), cancel())
    waiting.then(
        "StepFailed flight",
        "CancelRequested",
        "CompensationBegan",
        "StepGivenUp flight",
        "CommandIssued flight compensate",
    )


def test_an_unfenced_step_of_unknown_outcome_is_undone_only_when_its_last_send_cannot_run_any_more() -> None:
    text = saga(
        "step: pay, call: card.pay, retry: {maximum_attempts: 1}, timeout: {reply: 10s}, compensate: {call: card.void}"
    )
    failed = given(text).started().when(reply("pay").unfenced().failed())
    failed.then("StepFailed pay", "CompensationBegan pay", event(TimerSet, step="pay", due=failed.now + 10_000_000))
    failed.then_due_in("10s").after("9s").then_nothing().after("1s").then(
        "TimerFired pay", "CommandIssued pay compensate"
    )


def test_a_success_that_comes_while_its_quiet_time_runs_is_late_and_the_step_is_undone_all_the_same() -> None:
    text = saga("step: pay, call: card.pay, retry: {maximum_attempts: 1}, compensate: {call: card.refund}")
    failed = given(text).started().when(reply("pay").unfenced().failed())
    failed.when(reply("pay").unfenced().succeeded()).then_ignored("late: the step is unknown already")
    failed.after("30s").then("TimerFired pay", "CommandIssued pay compensate")


def test_an_event_of_a_compensation_is_published_only_if_something_was_undone() -> None:
    text = saga(
        """
        step: pay, call: card.pay, with: {n: 1}, compensate: {call: card.refund, emit: Refunded}
        step: end, call: p.end, compensate: none
        """,
        "emit: {compensated: Failed}",
    )
    failed = given(text).started().when(reply("pay").succeeded(), reply("end").rejected("no"))
    failed.when(compensation("pay").succeeded()).then_published(
        published("Refunded", {"n": 1}), published("Failed", {"step": "end", "code": "no", "message": ""})
    )
    failed.when(compensation("pay").succeeded(effect=Effect.NONE)).then_published("Failed")


UNDO = saga(
    """
    step: pay, call: card.pay, compensate: {call: card.refund, COMPENSATION}
    step: end, call: p.end, compensate: none
    """
)


def undoing(how: str) -> str:
    return UNDO.replace("COMPENSATION", how)


def test_a_compensation_is_tried_again_a_rejection_of_it_too_until_it_blocks() -> None:
    text = undoing("retry: {initial_interval: 1s, maximum_attempts: 2, jitter: none}")
    failed = given(text).started().when(reply("pay").succeeded(), reply("end").rejected("no"))
    failed = failed.when(compensation("pay").rejected("not_now"))
    failed.then(event(CompensationFailed, attempt=1, code="not_now", retry_at=failed.now + 1_000_000)).then_due_in("1s")
    again = failed.after("1s").then("CommandIssued pay compensate attempt 2").then_commands("card.refund")
    blocked = again.when(compensation("pay").failed("broken"))
    blocked.then(event(CompensationFailed, attempt=2, retry_at=None), event(StepBlocked, step="pay", code="broken"))
    blocked.then_status("blocked").then_due_in(None)


def test_an_exhausted_compensation_may_be_left_standing_and_the_saga_is_closed() -> None:
    text = undoing("retry: {maximum_attempts: 1}, on_exhausted: continue")
    failed = given(text.replace("version: 1", "version: 1\nemit: {closed: LeftStanding}")).started()
    failed = failed.when(reply("pay").succeeded(), reply("end").rejected("no"))
    closed = failed.when(compensation("pay").failed("broken"))
    closed.then("CompensationFailed pay", "SagaClosed").then_status("closed").then_published("LeftStanding")


def test_silence_about_a_compensation_is_asked_about_and_given_up_at_its_total_time() -> None:
    text = undoing("timeout: {reply: 1m, total: 3m}")
    failed = given(text).started().when(reply("pay").succeeded(), reply("end").rejected("no")).then_due_in("1m")
    asked = failed.after("1m").then().then_commands(command("card.refund", again=True, attempt=1))
    asked.after("2m").then(
        event(CompensationFailed, code="gave_up"), event(StepBlocked, code="gave_up")
    ).then_commands()


def test_a_success_of_an_exhausted_or_blocked_compensation_is_still_taken() -> None:
    text = undoing("retry: {maximum_attempts: 1}")
    blocked = (
        given(text).started().when(reply("pay").succeeded(), reply("end").rejected("no"), compensation("pay").failed())
    )
    blocked.then_status("blocked").when(compensation("pay").succeeded()).then("StepCompensated pay", "SagaCompensated")


def test_a_late_success_of_an_exhausted_compensation_counts_while_the_saga_goes_on() -> None:
    text = saga(
        """
        step: one, call: p.one, compensate: {call: p.undo_one}
        step: two, call: p.two, compensate: {call: p.undo_two, retry: {maximum_attempts: 1}, on_exhausted: continue}
        step: end, call: p.end, compensate: none
        """
    )
    failed = given(text).started().when(reply("one").succeeded(), reply("two").succeeded(), reply("end").rejected("no"))
    left = failed.when(compensation("two").failed()).then("CompensationFailed two", "CommandIssued one compensate")
    undone = left.when(compensation("two").succeeded()).then("StepCompensated two")
    undone.when(compensation("one").succeeded()).then("StepCompensated one", "SagaCompensated")


def test_repeated_and_late_replies_to_a_compensation_change_nothing() -> None:
    text = undoing("retry: {initial_interval: 1s, jitter: none}")
    begun = given(text).started().when(reply("pay").succeeded())
    begun.when(compensation("pay").succeeded()).then_ignored("no such compensation was issued")
    begun.when(compensation("end").succeeded()).then_ignored("no such compensation was issued")
    retrying = begun.when(reply("end").rejected("no"), compensation("pay").failed())
    retrying.when(compensation("pay").failed()).then_ignored("an earlier attempt's")
    fan = given(FAN).started().when(reply("open").succeeded(), reply("left").succeeded(), reply("right").rejected("no"))
    undone = fan.when(compensation("left").succeeded()).then("StepCompensated left", "CommandIssued open compensate")
    undone.when(compensation("left").succeeded()).then_nothing().then_ignored("a repetition")
    undone.when(compensation("left").failed()).then_nothing().then_ignored("late: the compensation is undone already")


def test_a_compensation_without_a_value_blocks_at_once_and_holds_back_only_what_must_wait_for_it() -> None:
    text = saga(
        """
        step: root, call: p.root, compensate: {call: p.undo_root}
        step: left, needs: [root], call: p.left, compensate: {call: p.undo_left, with: {x: "${{ input.x.y }}"}}
        step: right, needs: [root], call: p.right, compensate: {call: p.undo_right}
        step: end, needs: [left, right], call: p.end, compensate: none
        """
    )
    failed = (
        given(text)
        .started({"x": 1})
        .when(
            reply("root").succeeded(),
            reply("left").succeeded(),
            reply("right").succeeded(),
            reply("end").rejected("no"),
        )
    )
    assert [type(each).__name__ for each in failed.events[-2:]] == ["CommandIssued", "StepBlocked"]
    failed.then_status("blocked").then_commands("p.left", "p.right", "p.end", "p.undo_right")
    failed.when(compensation("right").succeeded()).then("StepCompensated right").then_status("blocked")


def test_the_saga_time_limit_compensates_what_is_not_past_the_point_of_no_return() -> None:
    limited = given(BOOK.replace("version: 1", "version: 1\ntimeout: 10m")).started().when(reply("flight").succeeded())
    limited.after("599s").then()
    late = limited.after("10m").then("CompensationBegan")
    late.then_failure("saga_timeout").after("30s").then("StepGivenUp hotel", "CommandIssued hotel compensate")


def test_a_cancel_is_accepted_at_every_point_before_the_end() -> None:
    started = given(BOOK).started()
    for scenario, undone in (
        (started, ()),
        (started.when(reply("flight").failed()), ("air.cancel",)),
        (started.when(reply("flight").succeeded()), ()),
        (started.when(reply("flight").succeeded(), reply("hotel").succeeded()), ()),
    ):
        cancelled = scenario.when(cancel("changed my mind")).then_commands(*undone).then_failure("cancelled")
        cancelled.then_status("compensating").when(cancel()).then_nothing().then_ignored("being compensated already")
    done = started.when(reply("flight").succeeded(), reply("hotel").succeeded(), reply("car").succeeded())
    done.when(cancel()).then_nothing().then_refused("the saga is completed already")


def test_an_item_of_a_loop_that_is_undone_does_not_hurry_another_that_is_not_quiet_yet() -> None:
    text = saga(
        """
        step: each, call: p.do, for_each: {in: [1, 2], as: n}, retry: {maximum_attempts: 1}, compensate: {call: p.undo}
        """
    )
    failed = given(text).started().when(reply("each", 0).unfenced().failed(), reply("each", 1).succeeded())
    failed.then(
        "StepFailed each/0",
        "CompensationBegan each",
        "TimerSet each/0",
        "StepSucceeded each/1",
        "CommandIssued each/1 compensate",
    )
    undone = failed.when(compensation("each", 1).succeeded()).then("StepCompensated each/1").then_due_in("30s")
    undone.after("30s").then("TimerFired each/0", "CommandIssued each/0 compensate")


def test_what_the_saga_publishes_at_its_end_may_tell_of_steps_that_never_opened() -> None:
    text = saga(
        """
        step: one, call: p.one, compensate: none
        step: two, call: p.two, compensate: none
        step: pay, saga: child
        """,
        'emit: {compensated: {event: Failed, data: {one: "${{ steps.one.status }}", two: "${{ steps.two }}", '
        'pay: "${{ steps.pay.status }}"}}}',
    )
    child = saga("step: one, call: p.one, compensate: none").replace("saga: trip", "saga: child")
    failed = given(text, children=[child]).started().when(reply("one").rejected("no"))
    failed.then_published(
        published("Failed", {"one": "rejected", "two": {"status": "pending", "result": None}, "pay": "pending"})
    )
