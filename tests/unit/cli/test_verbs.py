"""An operator's verbs on one saga, over a real store: what is done, refused or changes nothing, what is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saga_engine.cli.acting import operator
from saga_engine.core.inputs import Due
from saga_engine.core.state import Status
from saga_engine.core.verbs import ALLOWED
from tests.unit.cli.conftest import Saga
from tests.unit.cli.trips import (
    PAID,
    Trips,
    cancelled,
    confirmed,
    json_lines,
    succeeds,
    suspended,
    undone,
    write_trip,
)

ASKED = {"signal": ["Confirmed"]}
REASONED = ("cancel", "suspend", "resume", "skip", "resolve")


@pytest.fixture
def trips(project: Path) -> Trips:
    write_trip(project)
    return Trips(project)


def words(verb: str, key: str) -> list[str]:
    """The verb on that saga, with all it needs."""
    return [verb, key, *ASKED.get(verb, []), *(["--why", "because"] if verb in REASONED else [])]


def types(saga: Saga, key: str) -> list[str]:
    return [str(line["type"]) for line in json_lines(saga("history", key, "-o", "jsonl").out)]


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("verb", list(ALLOWED))
def test_a_verb_is_taken_where_the_table_allows_it_and_refused_with_what_is_possible_elsewhere(
    trips: Trips, saga: Saga, verb: str, status: Status
) -> None:
    trips.bring("t-1", status)
    before = types(saga, "t-1")
    done = saga(*words(verb, "t-1"), "-o", "json")
    if status in ALLOWED[verb]:
        assert (done.code, done.err) == (0, "")
        row = json.loads(done.out)
        assert (row["key"], row["verb"], row["result"] in ("done", "nothing")) == ("t-1", verb, True)
        assert (len(types(saga, "t-1")) > len(before)) == (row["result"] == "done")
        return
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: trip t-1: ")
    assert done.err.count("\n") == 1
    possible = ", ".join(json.loads(saga("show", "t-1", "-o", "json").out)["verbs"])
    assert verb not in possible
    assert (f"possible: {possible}" if possible else "nothing can be done to it any more") in done.err
    assert types(saga, "t-1") == before


def test_a_repeated_cancel_and_suspend_change_nothing_and_say_so(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    for verb, said in (("suspend", "suspended already"), ("cancel", "the saga is being compensated already")):
        assert saga(*words(verb, "t-1")).out.startswith(f"{verb} done  trip t-1 ")
        again = saga(*words(verb, "t-1"))
        assert again.code == 0
        assert again.out.startswith(f"{verb} nothing  trip t-1 ")
        assert said in again.out


def test_a_verb_is_recorded_with_who_and_why(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.BLOCKED)
    saga("skip", "t-1", "--why", "refunded in cash", "--who", "ann")
    acted = next(
        line for line in json_lines(saga("history", "t-1", "-o", "jsonl").out) if line["type"] == "OperatorActed"
    )
    data = acted["data"]
    assert isinstance(data, dict)
    assert (data["verb"], data["step"], data["who"], data["why"]) == ("skip", "reserve", "ann", "refunded in cash")


def test_who_is_the_user_and_host_unless_it_is_said(trips: Trips, saga: Saga, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bea")
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    trips.start("t-1")
    saga("suspend", "t-1", "--why", "x")
    assert "suspended by bea@desk: x" in saga("show", "t-1").out


def test_who_is_unknown_where_the_user_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    assert operator() == "unknown@desk"


@pytest.mark.parametrize("verb", REASONED)
def test_a_verb_that_wants_a_reason_is_not_done_without_one(trips: Trips, saga: Saga, verb: str) -> None:
    trips.start("t-1")
    for args in ([], ["--why", " "], ["--why", "x" * 1001], ["--why", "\udcff"]):
        done = saga(verb, "t-1", *args)
        assert (done.code, done.out) == (2, "")
        assert "--why" in done.err
    assert types(saga, "t-1") == ["SagaStarted", "CommandIssued"]


def test_a_blocked_saga_goes_on_after_a_retry_and_ends_compensated(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.BLOCKED)
    assert "the saga is compensating" in saga("retry", "t-1").out
    issued = json_lines(saga("history", "t-1", "-o", "jsonl").out)[-1]
    assert issued["type"] == "CommandIssued"
    trips.give("t-1", undone("reserve"))
    assert json.loads(saga("show", "t-1", "-o", "json").out)["status"] == "compensated"


def test_a_skip_ends_closed_and_a_resolve_compensated(trips: Trips, saga: Saga) -> None:
    for verb, end in (("skip", "closed"), ("resolve", "compensated")):
        trips.bring(verb, Status.BLOCKED)
        assert f"the saga is {end}" in saga(verb, verb, "--why", "by hand").out


def test_a_verb_on_a_step_that_is_not_blocked_names_those_that_are(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.BLOCKED)
    refused = saga("skip", "t-1", "--why", "x", "--step", "pay")
    assert refused.code == 1
    assert "pay is not blocked; blocked: reserve" in refused.err
    assert saga("skip", "t-1", "--why", "x", "--step", "reserve", "--item", "0").code == 1
    assert saga("skip", "t-1", "--why", "x", "--item", "0").code == 2
    assert saga("skip", "t-1", "--why", "x", "--step", "reserve").code == 0


def test_a_cancel_past_the_point_of_no_return_is_recorded_and_refused(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", *PAID)
    refused = saga("cancel", "t-1", "--why", "too late")
    assert (refused.code, refused.out) == (1, "")
    assert "the cancel is recorded and refused: the saga is past the point of no return" in refused.err
    assert refused.err.endswith("; possible: suspend\n"), "not to be cancelled again"
    assert types(saga, "t-1")[-1] == "CancelRequested"
    assert json.loads(saga("show", "t-1", "-o", "json").out)["status"] == "running"


def test_a_cancel_waits_for_a_pivot_that_is_open(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"), confirmed)
    waits = saga("cancel", "t-1", "--why", "x")
    assert waits.code == 0
    assert "the cancel is recorded and waits for the outcome of the pivot" in waits.out
    assert "a cancel waits for the pivot's outcome already" in saga("cancel", "t-1", "--why", "x").out


def test_a_cancel_of_a_suspended_saga_says_that_nothing_is_sent_yet(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"), suspended)
    assert "nothing is sent before it is resumed" in saga("cancel", "t-1", "--why", "x").out
    assert "the saga is compensating" in saga("resume", "t-1", "--why", "go").out


def test_a_signal_is_taken_once_per_id(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    told = saga("signal", "t-1", "Confirmed", "--data", '{"by": "phone"}', "--id", "s-1", "-o", "json")
    row = json.loads(told.out)
    assert (told.code, row["result"], row["signal_id"]) == (0, "done", "s-1")
    again = saga("signal", "t-1", "Confirmed", "--id", "s-1")
    assert again.code == 0
    assert "signal nothing" in again.out
    assert "a repetition (signal id s-1)" in again.out
    trips.give("t-1", succeeds("reserve"))
    shown = json.loads(saga("show", "t-1", "-o", "json").out)
    assert next(step for step in shown["steps"] if step["step"] == "confirm")["result"] == {"by": "phone"}


def test_a_signal_that_was_taken_may_be_repeated_after_the_saga_has_ended(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    assert saga("signal", "t-1", "Confirmed", "--id", "s-1").code == 0
    trips.give("t-1", cancelled, succeeds("reserve"), undone("reserve"))
    again = saga("signal", "t-1", "Confirmed", "--id", "s-1")
    assert (again.code, again.err) == (0, "")
    assert "signal nothing" in again.out
    assert "a repetition: the saga had taken this signal before it ended (signal id s-1)" in again.out
    another = saga("signal", "t-1", "Confirmed", "--id", "s-2")
    assert another.code == 1
    assert "the saga is compensated already" in another.err


def test_a_saga_that_is_compensating_does_not_offer_to_be_cancelled(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.COMPENSATING)
    assert "possible suspend\n" in saga("show", "t-1").out


def test_a_wait_is_given_up_when_its_saga_is_cancelled_and_its_signal_offered_no_more(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"))
    assert "→ confirm  waiting" in saga("show", "t-1").out
    trips.give("t-1", cancelled)
    for status in (Status.COMPENSATING, Status.COMPENSATED):
        shown = json.loads(saga("show", "t-1", "-o", "json").out)
        assert shown["status"] == status
        assert next(step for step in shown["steps"] if step["step"] == "confirm")["status"] == "given_up"
        assert "signal" not in shown["verbs"]
        assert "· confirm  given up" in saga("show", "t-1").out
        picture = saga("graph", "t-1").out
        assert "given up" in picture
        assert "running" not in [line.rpartition(":::")[2] for line in picture.splitlines()]
        if status is Status.COMPENSATING:
            trips.give("t-1", undone("reserve"))


@pytest.mark.parametrize("end", [Status.COMPENSATING, Status.BLOCKED])
def test_a_signal_that_no_step_waits_for_any_more_is_recorded_and_said_to_lead_to_nothing(
    trips: Trips, saga: Saga, end: Status
) -> None:
    trips.bring("t-1", end)
    told = saga("signal", "t-1", "Confirmed")
    assert told.code == 0
    assert "recorded, but no step waits for Confirmed any more, so that nothing follows" in told.out
    assert f"the saga is {end}" in told.out


def test_one_signal_more_than_there_are_waits_is_said_to_be_left_over(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    assert "the saga is running" in saga("signal", "t-1", "Confirmed").out
    assert "no step waits for Confirmed any more" in saga("signal", "t-1", "Confirmed").out


def test_a_wait_that_nobody_answered_is_shown_out_of_time(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    hour = 3_600_000_000
    trips.give("t-1", succeeds("reserve"), lambda at: Due(at + hour), undone("reserve"))
    shown = json.loads(saga("show", "t-1", "-o", "json").out)
    assert [step["status"] for step in shown["steps"]] == ["compensated", "out_of_time", "not_run", "not_run"]
    told = saga("show", "t-1").out
    assert "✗ confirm  out of time" in told
    assert "out of time: no Confirmed came in time" in told


def test_a_signal_without_an_id_gets_a_new_one_each_time_which_is_printed(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    ids = {json.loads(saga("signal", "t-1", "Confirmed", "-o", "json").out)["signal_id"] for _ in range(2)}
    assert len(ids) == 2
    assert types(saga, "t-1").count("SignalReceived") == 2


def test_a_signal_that_no_step_waits_for_is_refused_with_the_nearest_name(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    refused = saga("signal", "t-1", "Confirmd")
    assert (refused.code, refused.out) == (1, "")
    assert "its steps wait for Confirmed" in refused.err
    assert 'did you mean "Confirmed"?' in refused.err
    assert "SignalReceived" not in types(saga, "t-1")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["t-1", "Confirmed", "--data", "{"], "--data: $: E306"),
        (["t-1", "Confirmed", "--data", json.dumps("x" * 300_000)], "--data: E402"),
        (["t-1", "Confirmed", "more"], "found 3 arguments"),
        (["Confirmed"], "name a saga by ID|KEY"),
        (["t-1", "Confirmed", "--id", ""], "is empty"),
    ],
)
def test_a_signal_with_a_mistake_is_not_taken(trips: Trips, saga: Saga, args: list[str], expected: str) -> None:
    trips.start("t-1")
    done = saga("signal", *args)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err
    assert "SignalReceived" not in types(saga, "t-1")


def test_a_verb_on_a_saga_that_is_not_there_has_exit_code_3(trips: Trips, saga: Saga) -> None:
    saga("db", "upgrade")
    for verb in ALLOWED:
        done = saga(*words(verb, "nobody"))
        assert (done.code, done.out) == (3, "")
        assert "no saga with id or key 'nobody'" in done.err


def test_show_tells_what_is_waited_for_and_which_verbs_are_possible(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    shown = json.loads(saga("show", "t-1", "-o", "json").out)
    (reply,) = shown["waits_for"]
    assert (reply["for"], reply["step"], reply["participant"], reply["command"]) == (
        "reply",
        "reserve",
        "hotel",
        "reserve",
    )
    assert reply["since"] == shown["started_at"]
    assert reply["since"] < reply["next_send"]
    assert shown["verbs"] == ["signal", "cancel", "suspend"]
    assert "reserve: for the reply of hotel.reserve, attempt 1 for " in saga("show", "t-1").out

    trips.give("t-1", succeeds("reserve"))
    (signal,) = json.loads(saga("show", "t-1", "-o", "json").out)["waits_for"]
    assert (signal["for"], signal["step"], signal["event"]) == ("signal", "confirm", "Confirmed")
    told = saga("show", "t-1").out
    # An hour is left, but for what has passed since.
    assert "confirm: for the signal Confirmed, until its time is up in " in told
    assert " → saga signal t-1 Confirmed\n" in told

    trips.give("t-1", suspended)
    waits = json.loads(saga("show", "t-1", "-o", "json").out)["waits_for"]
    assert [one["for"] for one in waits] == ["resume", "signal"]
    assert "suspended → saga resume t-1 --why TEXT" in saga("show", "t-1").out


def test_show_of_a_blocked_saga_names_the_last_error_and_the_next_step(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.BLOCKED)
    shown = json.loads(saga("show", "t-1", "-o", "json").out)
    error = {"code": "away", "message": "nobody is at the hotel"}
    place = {"step": "reserve", "item": None, "direction": "compensate"}
    assert shown["waits_for"] == [{"for": "operator", **place, **error}]
    assert {"retry", "skip", "resolve"} <= set(shown["verbs"])
    text = saga("show", "t-1").out
    assert "reserve: blocked in compensation, away: nobody is at the hotel → saga retry t-1" in text


def test_an_ended_saga_waits_for_nothing_and_allows_nothing(trips: Trips, saga: Saga) -> None:
    trips.bring("t-1", Status.COMPLETED)
    shown = json.loads(saga("show", "t-1", "-o", "json").out)
    assert (shown["waits_for"], shown["verbs"]) == ([], [])


def test_a_list_begins_with_blocked_sagas_their_error_and_what_to_do(trips: Trips, saga: Saga) -> None:
    trips.bring("blocked-1", Status.BLOCKED)
    for key in ("a", "b", "c"):
        trips.start(key)
    rows = json.loads(saga("list", "-o", "json").out)
    assert [row["key"] for row in rows] == ["blocked-1", "c", "b", "a"]
    (step,) = rows[0]["blocked"]
    assert (step["step"], step["code"], step["message"]) == ("reserve", "away", "nobody is at the hotel")
    assert "retry" in rows[0]["verbs"]
    assert "blocked" not in rows[1]
    text = saga("list").out
    assert "blocked trip blocked-1: reserve: away: nobody is at the hotel → saga retry blocked-1" in text
    assert [row["key"] for row in json.loads(saga("list", "--limit", "2", "-o", "json").out)] == ["blocked-1", "c"]
    newest = saga("list", "--limit", "1")
    assert newest.out.splitlines()[1].split()[2] == "blocked-1"
    assert "--status blocked --before" in newest.err
    assert [row["key"] for row in json.loads(saga("list", "--before", rows[2]["id"], "-o", "json").out)] == [
        "a",
        "blocked-1",
    ]
