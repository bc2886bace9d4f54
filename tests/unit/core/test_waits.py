"""Waiting for signals: before and after, in order, once each, and what happens when none comes."""

from __future__ import annotations

from saga_engine.core.events import StepRejected, StepSucceeded
from saga_engine.testing.expectations import command, event, published
from saga_engine.testing.given import given
from saga_engine.testing.moves import cancel, reply, resume, signal, suspend
from tests.unit.core.sagas import saga

WAIT = saga(
    """
    step: ask, call: p.ask, compensate: {call: p.undo_ask}
    step: paid, wait: {event: PaymentConfirmed, timeout: 1h}, emit: Paid
    step: send, call: p.send, with: {by: "${{ steps.paid.result }}"}, compensate: none
    """
)
TWO = saga(
    """
    step: first, needs: [], wait: {event: News}
    step: second, needs: [], wait: {event: News}
    step: other, needs: [], wait: {event: Other}
    """
)


def test_a_signal_that_comes_while_it_is_waited_for_goes_to_the_step() -> None:
    waiting = given(WAIT).started().when(reply("ask").succeeded()).then("StepSucceeded ask", "TimerSet paid")
    paid = waiting.then_due_in("1h").when(signal("PaymentConfirmed", {"n": 1}))
    paid.then("SignalReceived", event(StepSucceeded, step="paid", result={"n": 1}), "CommandIssued send")
    paid.then_commands(command("p.send", payload={"by": {"n": 1}})).then_published(published("Paid", {"n": 1}))
    paid.after("1h")
    paid.then_status("running")


def test_a_signal_that_came_before_is_taken_when_the_step_opens() -> None:
    early = given(WAIT).started().when(signal("PaymentConfirmed", 1)).then("SignalReceived")
    early.when(reply("ask").succeeded()).then(
        "StepSucceeded ask", "TimerSet paid", event(StepSucceeded, step="paid", result=1), "CommandIssued send"
    )


def test_a_signal_of_another_name_leaves_the_step_waiting() -> None:
    waiting = given(WAIT).started().when(reply("ask").succeeded())
    waiting.when(signal("SomethingElse")).then("SignalReceived").then_step("paid", "waiting")


def test_a_signal_is_taken_once_for_its_id() -> None:
    waiting = given(TWO).started().when(signal("News", 1, id="n-1"))
    waiting.when(signal("News", 1, id="n-1")).then_nothing().then_ignored("a repetition")
    waiting.when(signal("News", 2, id="n-2")).then("SignalReceived", event(StepSucceeded, step="second", result=2))


def test_signals_of_one_name_are_taken_in_order() -> None:
    text = saga("step: nap, sleep: 1s\nstep: first, wait: {event: News}\nstep: second, wait: {event: News}")
    early = given(text).started().when(signal("News", 1, id="a"), signal("News", 2, id="b"), signal("News", 3, id="c"))
    done = early.after("1s").then_status("completed")
    assert [e.result for e in done.stream if isinstance(e, StepSucceeded)] == [1, 2]
    assert [left.data for left in done.state.signals] == [3]


def test_an_oldest_wait_is_served_first_also_after_a_suspension() -> None:
    text = saga(
        """
        step: old, needs: [], wait: {event: News}
        step: ask, needs: [], call: p.ask, compensate: none
        step: new, needs: [ask], wait: {event: News}
        """
    )
    held = given(text).started().when(suspend(), signal("News", 1), reply("ask").succeeded())
    held.then("Suspended", "SignalReceived", "StepSucceeded ask")
    held.when(resume()).then("Resumed", event(StepSucceeded, step="old", result=1), "TimerSet new")


def test_a_wait_that_runs_out_of_time_fails_the_saga() -> None:
    waiting = given(WAIT).started().when(reply("ask").succeeded())
    waiting.after("1h").then(
        "TimerFired paid",
        event(StepRejected, step="paid", code="gave_up", message="no PaymentConfirmed came in time"),
        "CompensationBegan paid",
        "CommandIssued ask compensate",
    ).then_failure("gave_up", step="paid").then_published()


def test_a_wait_that_may_run_out_of_time_lets_the_saga_go_on_and_publishes_nothing() -> None:
    text = WAIT.replace("timeout: 1h", "timeout: 1h, on_timeout: continue")
    waiting = given(text).started().when(reply("ask").succeeded())
    on = waiting.after("1h").then("TimerFired paid", "StepSucceeded paid", "CommandIssued send")
    on.then_commands(command("p.send", payload={"by": None})).then_step("paid", "timed_out").then_published()
    on.when(signal("PaymentConfirmed")).then("SignalReceived")


def test_a_wait_without_a_time_limit_waits_for_ever() -> None:
    given(TWO).started().then_due_in(None).after("30d").then_nothing().then_status("running")


def test_a_signal_while_suspended_is_taken_on_resume() -> None:
    held = given(TWO).started().when(suspend(), signal("Other", 5)).then("Suspended", "SignalReceived")
    held.when(resume()).then("Resumed", event(StepSucceeded, step="other", result=5))


def test_a_signal_that_came_before_the_time_limit_fires_wins_on_resume() -> None:
    held = given(WAIT).started().when(reply("ask").succeeded(), suspend()).after("2h").then_nothing()
    late = held.when(signal("PaymentConfirmed", 1), resume())
    late.then("SignalReceived", "Resumed", "StepSucceeded paid", "CommandIssued send")


def test_waits_and_sleeps_end_without_effect_when_compensation_begins() -> None:
    text = saga("step: nap, needs: [], sleep: 1h\nstep: news, needs: [], wait: {event: News, timeout: 2h}")
    cancelled = given(text).started().when(cancel())
    cancelled.then("CancelRequested", "CompensationBegan", "SagaCompensated")
    waiting = given(WAIT).started().when(reply("ask").succeeded(), cancel())
    waiting.when(signal("PaymentConfirmed")).then("SignalReceived").then_commands()
    waiting.after("2h").then().then_status("compensating")


def test_one_signal_that_fails_the_saga_is_the_last_that_is_taken() -> None:
    text = saga(
        """
        step: first, needs: [], wait: {event: News}
        step: use, needs: [first], call: p.use, with: {x: "${{ steps.first.result.x }}"}, compensate: none
        step: second, needs: [], wait: {event: News}
        """
    )
    held = given(text).started().when(suspend(), signal("News", 1, id="a"), signal("News", 2, id="b"))
    failed = held.when(resume())
    failed.then("Resumed", "StepSucceeded first", "StepRejected use", "CompensationBegan use", "SagaCompensated")
