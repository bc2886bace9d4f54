"""Failed attempts, back-off, exhaustion, silence, and what makes a rejection definite."""

from __future__ import annotations

from saga_engine.core.events import CommandIssued, StepFailed, StepGivenUp
from saga_engine.testing.expectations import command, event
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import reply
from saga_engine.testing.virtual_time import BEGIN
from tests.unit.core.sagas import BOOK, QUICK, saga

ONE = saga(f"step: pay, call: card.pay, with: {{n: 1}}, {QUICK}, compensate: {{call: card.refund}}")
LIMITED = saga(
    f"""
    step: pay, call: card.pay, timeout: {{reply: 30s, total: 5m}}, {QUICK}, compensate: {{call: card.refund}}
    """
)


def test_a_failed_attempt_is_followed_by_the_next_after_the_back_off() -> None:
    failed = given(ONE).started().when(reply("pay").failed("busy", "try later"))
    failed.then(
        event(StepFailed, step="pay", attempt=1, code="busy", message="try later", retry_at=BEGIN + 1_000_000)
    ).then_commands().then_due_in("1s")
    again = failed.after("1s").then("CommandIssued pay attempt 2").then_commands(command("card.pay", attempt=2))
    again.then_commands(command("card.pay", payload={"n": 1}))
    again.when(reply("pay").failed()).then(event(StepFailed, attempt=2, retry_at=again.now + 2_000_000))


def test_only_the_first_attempt_carries_the_payload() -> None:
    again = given(ONE).started().when(reply("pay").failed()).after("1s")
    again.then(event(CommandIssued, attempt=2, payload=None))


def test_when_the_attempts_are_used_up_the_step_is_compensated_as_if_done() -> None:
    scenario = given(ONE).started().when(reply("pay").failed()).after("1s").when(reply("pay").failed()).after("2s")
    spent = scenario.when(reply("pay").failed("busy"))
    spent.then(
        event(StepFailed, attempt=3, code="busy", retry_at=None),
        "CompensationBegan pay",
        "CommandIssued pay compensate",
    ).then_step("pay", "unknown").then_failure("busy", step="pay")


def test_an_error_that_is_not_retryable_ends_the_attempts_at_once() -> None:
    text = saga(
        "step: pay, call: card.pay, retry: {non_retryable_errors: [no_account]}, compensate: {call: card.refund}"
    )
    ended = given(text).started().when(reply("pay").failed("no_account"))
    ended.then(event(StepFailed, attempt=1, retry_at=None), "CompensationBegan pay", "CommandIssued pay compensate")


def test_back_off_grows_to_its_maximum_and_is_drawn_alike_every_time() -> None:
    text = saga(
        "step: pay, call: card.pay, retry: {initial_interval: 1s, maximum_interval: 3s,"
        " maximum_attempts: 9, jitter: JITTER}, compensate: none"
    )
    exact = _delays(given(text.replace("JITTER", "none")).started())
    assert exact == [1_000_000, 2_000_000, 3_000_000, 3_000_000, 3_000_000]
    jittered = _delays(given(text.replace("JITTER", "full")).started())
    assert jittered == _delays(given(text.replace("JITTER", "full")).started())
    assert all(0 <= drawn <= whole for drawn, whole in zip(jittered, exact, strict=True))
    assert jittered != exact


def _delays(scenario: Scenario) -> list[int]:
    delays = []
    for _ in range(5):
        scenario = scenario.when(reply("pay").failed())
        failed = scenario.events[0]
        assert isinstance(failed, StepFailed)
        assert failed.retry_at is not None
        delays.append(failed.retry_at - scenario.now)
        scenario = scenario.after("3s")
    return delays


def test_silence_is_asked_about_again_without_an_event_and_at_growing_intervals() -> None:
    asked = given(BOOK).started().then_due_in("30s")
    asked = asked.after("30s").then().then_commands(command("air.book", attempt=1, again=True)).then_due_in("1m")
    asked = asked.after("60s").then().then_commands(command("air.book", again=True)).then_due_in("2m")
    asked = asked.after("120s").then_due_in("4m").after("240s").then_due_in("5m")
    hour = asked.after("1h").then()
    hour.then_commands(*[command("air.book", attempt=1, again=True)] * 12).then_due_in("5m").then_step(
        "flight", "issued"
    )
    week = hour.after("7d").then()
    assert len(week.commands) == 7 * 24 * 12


def test_silence_uses_up_no_attempt() -> None:
    asked = given(ONE).started().after("1d")
    asked.when(reply("pay").send(9).failed()).then(event(StepFailed, attempt=1, retry_at=asked.now + 1_000_000))


def test_silence_is_given_up_at_the_total_time_and_compensated_as_if_done() -> None:
    silent = given(LIMITED).started().after("299s").then()
    given_up = silent.after("1s")
    given_up.then(
        event(StepGivenUp, step="pay", code="gave_up"),
        "CompensationBegan pay",
        "TimerSet pay",
    )
    given_up.then_failure("gave_up", step="pay").then_step("pay", "unknown")


def test_failures_are_given_up_at_the_total_time_too() -> None:
    text = saga(
        "step: pay, call: card.pay, timeout: {total: 1m}, compensate: none,"
        " retry: {initial_interval: 40s, maximum_interval: 40s, jitter: none, maximum_attempts: 9}"
    )
    failed = given(text).started().when(reply("pay").failed()).after("40s").when(reply("pay").failed())
    failed.after("19s").then_nothing().after("1s").then("StepGivenUp pay", "CompensationBegan pay", "SagaCompensated")


def test_a_success_counts_whichever_attempt_it_answers() -> None:
    waiting = given(ONE).started().when(reply("pay").failed())
    waiting.when(reply("pay").succeeded(1)).then("StepSucceeded pay", "SagaCompleted")
    second = waiting.after("1s")
    second.when(reply("pay").attempt(1).succeeded(1)).then("StepSucceeded pay", "SagaCompleted")


def test_a_failure_of_an_earlier_attempt_changes_nothing() -> None:
    waiting = given(ONE).started().when(reply("pay").failed())
    waiting.when(reply("pay").failed()).then_nothing().then_ignored("an earlier attempt's")
    waiting.after("1s").when(reply("pay").attempt(1).failed()).then_nothing().then_ignored("an earlier attempt's")


def test_a_fenced_rejection_is_definite_whenever_it_comes() -> None:
    later = given(ONE).started().when(reply("pay").failed()).after("1s").after("1m")
    later.when(reply("pay").send(2).rejected("declined")).then(
        "StepRejected pay", "CompensationBegan pay", "SagaCompensated"
    )


def test_an_unfenced_rejection_is_definite_while_only_one_send_was_made() -> None:
    first = given(ONE).started().after("29s")
    first.when(reply("pay").unfenced().rejected("declined")).then(
        "StepRejected pay", "CompensationBegan pay", "SagaCompensated"
    )


def test_an_unfenced_rejection_after_an_unanswered_send_counts_as_unknown() -> None:
    again = given(ONE).started().after("30s")
    for answer in (reply("pay").send(2), reply("pay").send(1)):
        again.when(answer.unfenced().rejected("declined")).then(
            event(StepFailed, code="declined", retry_at=None, fenced=False), "CompensationBegan pay", "TimerSet pay"
        ).then_step("pay", "unknown")


def test_an_unfenced_rejection_of_a_later_attempt_counts_as_unknown() -> None:
    second = given(ONE).started().when(reply("pay").unfenced().failed()).after("1s")
    second.when(reply("pay").unfenced().rejected("declined")).then(
        event(StepFailed, attempt=2, retry_at=None), "CompensationBegan pay", "TimerSet pay"
    )
    second.when(reply("pay").attempt(1).unfenced().rejected("declined")).then_ignored("an earlier attempt's")


def test_late_repeated_and_contradictory_replies_change_nothing_and_are_told_apart() -> None:
    done = given(BOOK).started().when(reply("flight").succeeded(1))
    done.when(reply("flight").succeeded(1)).then_nothing().then_ignored("a repetition")
    done.when(reply("flight").failed()).then_nothing().then_ignored("late: the step is succeeded already")
    done.when(reply("flight").rejected("no")).then_nothing().then_ignored(
        "contradictory: the step is succeeded already"
    )
    refused = done.when(reply("hotel").rejected("full"))
    refused.when(reply("hotel").rejected("full")).then_nothing().then_ignored("a repetition")
    refused.when(reply("hotel").succeeded()).then_nothing().then_ignored("contradictory: the step is rejected already")


def test_a_reply_to_what_was_never_asked_is_ignored() -> None:
    started = given(BOOK).started()
    started.when(reply("hotel").succeeded()).then_ignored("no such command was issued")
    started.when(reply("no_such_step").succeeded()).then_ignored("no such command was issued")
    started.when(reply("flight", 0).succeeded()).then_ignored("no such command was issued")


def test_a_reply_after_the_end_is_late() -> None:
    ended = given(ONE).started().when(reply("pay").succeeded())
    ended.when(reply("pay").rejected("no")).then_nothing().then_ignored("late: the saga is completed")
    ended.after("1d").then_nothing().then_ignored("late: the saga is completed")


def test_a_reply_to_what_is_no_command_is_ignored() -> None:
    given(saga("step: nap, sleep: 1s")).started().when(reply("nap").succeeded()).then_ignored("no such command")


def test_what_is_given_up_when_two_steps_are_due_at_once_is_not_tried_again() -> None:
    text = saga(
        f"""
        step: one, needs: [], call: p.one, timeout: {{reply: 30s, total: 30s}}, {QUICK}, compensate: none
        step: two, needs: [], call: p.two, {QUICK}, compensate: none
        """
    )
    both = given(text).started().after("29s").when(reply("two").failed())
    both.after("1s").then("StepGivenUp one", "CompensationBegan one", "StepGivenUp two", "SagaCompensated")
