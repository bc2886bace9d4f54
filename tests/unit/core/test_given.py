"""The kit for given/when/then tests: it fails when it should, and says why as a timeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from saga_engine.core.events import StepFailed, StepSucceeded
from saga_engine.core.inputs import Due
from saga_engine.core.timing import next_due
from saga_engine.testing.expectations import command, event, published
from saga_engine.testing.given import Scenario, given
from saga_engine.testing.moves import cancel, compensation, due, reply, retry, signal
from tests.unit.core.sagas import BOOK, saga


def fails(scenario_check: object, *texts: str) -> None:
    assert callable(scenario_check)
    with pytest.raises(AssertionError) as caught:
        scenario_check()
    for text in texts:
        assert text in str(caught.value), str(caught.value)


def test_a_difference_is_shown_with_marks_over_the_timeline_so_far() -> None:
    on = given(BOOK).started().after("1s").when(reply("flight").succeeded())
    fails(
        lambda: on.then("StepSucceeded flight", event(StepFailed, step="hotel")),
        "the events are not as expected",
        "  StepSucceeded flight\n- StepFailed(step='hotel')\n+ CommandIssued hotel",
        "so far:",
        "+0s  start → SagaStarted, CommandIssued flight",
        "+1s  due → ignored: nothing is due",
        "+1s  reply flight succeeded → StepSucceeded flight, CommandIssued hotel",
    )


def test_what_is_too_much_or_too_little_is_a_difference_too() -> None:
    on = given(BOOK).started().when(reply("flight").succeeded())
    fails(lambda: on.then("StepSucceeded flight"), "+ CommandIssued hotel")
    fails(lambda: on.then("StepSucceeded flight", "CommandIssued hotel", "SagaCompleted"), "- SagaCompleted")
    fails(on.then)
    fails(on.then_nothing)
    fails(on.then_commands, "+ inn.book")
    fails(lambda: on.then_commands("air.book"), "- air.book", "+ inn.book")
    fails(lambda: on.then_published("Booked"), "- Booked")


def test_patterns_look_at_the_fields_that_were_named_only() -> None:
    on = given(BOOK).started().when(reply("flight").succeeded({"id": 1}))
    on.then(event(StepSucceeded, result={"id": 1}), "CommandIssued hotel")
    fails(lambda: on.then(event(StepSucceeded, result={"id": 2}), "CommandIssued hotel"), "result={'id': 2}")
    on.then_commands(command("inn.book", payload={}, step="hotel", attempt=1, again=False))
    fails(lambda: on.then_commands(command("inn.book", payload={"n": 1})), "payload={'n': 1}")


def test_a_pattern_with_a_field_that_there_is_not_is_a_mistake_of_the_test() -> None:
    with pytest.raises(TypeError, match="StepSucceeded has no field reslut; it has at, step"):
        event(StepSucceeded, reslut=1)


def test_wrong_expectations_about_the_state_fail() -> None:
    on = given(BOOK).started()
    fails(lambda: on.then_status("completed"), "the status: expected 'completed', is 'running'")
    fails(lambda: on.then_step("hotel", "issued"), "step hotel: expected 'issued', is 'not opened'")
    fails(lambda: on.then_step("flight", "issued", item=0), "step flight/0")
    fails(lambda: on.then_output({"x": 1}), "the output")
    fails(lambda: on.then_failure("cancelled"), "the failure: expected (None, 'cancelled'), is None")
    fails(lambda: on.then_due_in("1m"), "the next due time: expected '1m', is '30s'")
    fails(lambda: on.then_due_in(None), "the next due time")


def test_ignored_and_refused_are_told_apart_and_never_true_of_nothing() -> None:
    new = given(BOOK)
    fails(new.then_ignored, "nothing happened that could have been ignored")
    fails(new.then_refused, "nothing happened that could have been refused")
    refused = new.started().when(retry("flight")).then_refused()
    fails(refused.then_ignored, "retry flight should have been ignored: refused: a saga that is running")
    fails(lambda: refused.then_refused("because of the weather"), "refused because 'because of the weather'")
    mixed = new.started().when(reply("hotel").succeeded(), reply("flight").succeeded())
    fails(mixed.then_ignored, "reply flight succeeded should have been ignored")


def test_a_scenario_can_be_taken_further_in_many_ways() -> None:
    on = given(BOOK).started()
    good, bad = on.when(reply("flight").succeeded()), on.when(reply("flight").rejected("no"))
    good.then_status("running")
    bad.then_status("compensated")
    on.then_step("flight", "issued")
    assert len(on.stream) == 2


def test_time_passes_through_every_moment_at_which_something_is_due() -> None:
    text = saga("step: one, sleep: 10s\nstep: two, sleep: 10s\nstep: end, call: p.end, compensate: none")
    later = given(text).started().after("40s")
    later.then("TimerFired one", "TimerSet two", "TimerFired two", "CommandIssued end")
    later.then_commands("p.end")
    begun = later.past[0].input.at
    assert [(each.at - begun) // 1_000_000 for each in later.events] == [10, 10, 20, 20]
    later.after("10s").then_commands(command("p.end", again=True))


def test_looking_without_time_passing_asks_nothing_again() -> None:
    asked = given(BOOK).started().after("30s").then_commands("air.book")
    asked.when(due()).then_nothing().then_ignored("nothing is due")
    assert isinstance(asked.past[-1].input, Due)
    assert next_due(asked.plan, asked.state, asked.now) == asked.now + 60_000_000


def test_what_is_no_duration_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="'soon' is not a duration"):
        given(BOOK).started().after("soon")


def test_a_definition_comes_as_text_or_as_a_file_or_loaded(tmp_path: Path) -> None:
    file = tmp_path / "trip.yaml"
    file.write_text(BOOK)
    for source in (BOOK, file, str(file), given(BOOK).plan.definition):
        given(source).started().then_commands("air.book")


def test_a_definition_that_does_not_load_is_refused_with_its_problems(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="E111"):
        given(BOOK + "color: red\n")
    with pytest.raises(ValueError, match="E100"):
        given(tmp_path / "nowhere.yaml")
    with pytest.raises(ValueError, match="E216"):
        given(saga("step: pay, saga: nowhere"))


def test_an_input_that_does_not_fit_is_refused() -> None:
    strict = BOOK.replace("version: 1", "version: 1\ninput: {type: object, required: [id]}")
    with pytest.raises(ValueError, match="does not fit saga trip"):
        given(strict).started({})


def test_short_forms_tell_apart_what_differs() -> None:
    steps = "step: a, call: p.a, compensate: {call: p.undo}\nstep: b, call: p.b, compensate: none"
    text = saga(steps, "emit: {compensated: Undone}")
    on = given(text).started().when(signal("News"), reply("a").succeeded())
    on.then("SignalReceived", "StepSucceeded a", "CommandIssued b")
    back = on.when(cancel()).after("30s").when(compensation("a").failed("broken"))
    back.then("CompensationFailed a").then_published()
    again = back.after("10m")
    again.then("CommandIssued a compensate attempt 2")
    done: Scenario = again.when(compensation("a").succeeded()).then("StepCompensated a", "SagaCompensated")
    done.then_published(published("Undone", {"step": None, "code": "cancelled", "message": "no longer wanted"}))
    fails(lambda: done.then_status("closed"), "undo reply a failed broken", "signal News", "cancel")


def test_a_failure_is_shown_at_the_line_of_the_test_and_the_scenario_in_short() -> None:
    on = given(BOOK).started()
    with pytest.raises(AssertionError) as caught:
        on.then_status("completed")
    shown = [entry for entry in caught.traceback if not entry.ishidden(caught)]
    assert {Path(str(entry.path)) for entry in shown} == {Path(__file__)}
    with pytest.raises(ValueError, match="duration") as wrong:
        on.after("soon")
    assert any(Path(str(entry.path)).name == "given.py" for entry in wrong.traceback if not entry.ishidden(wrong))
    assert repr(on) == f"<scenario of {on.plan.definition.saga}: running, 2 events>"
    assert repr(given(BOOK)).endswith(": not started, 0 events>")
