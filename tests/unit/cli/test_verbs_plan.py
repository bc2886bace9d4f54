"""`saga plan`: what a cancel or a failure would lead to, told without doing it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from saga_engine.core.state import Status
from tests.unit.cli.conftest import Saga
from tests.unit.cli.trips import DEFINITION, PAID, Trips, confirmed, succeeds, suspended, write_trip

FLIGHT_AND_HOTEL = """
saga: travel
version: 1
key: ${{ input.id }}
steps:
  - {step: flight, needs: [], call: air.book, compensate: {call: air.cancel}}
  - {step: hotel, needs: [], call: hotel.book, compensate: {call: hotel.cancel}}
  - step: insure
    needs: [flight, hotel]
    if: ${{ steps.flight.result.risky }}
    call: insurer.insure
    with: {flight: "${{ steps.flight.result.number }}"}
    compensate: {call: insurer.drop}
  - step: bags
    for_each: {in: "${{ steps.flight.result.bags }}", as: bag}
    call: air.check
    with: {bag: "${{ bag.id }}"}
    compensate: {call: air.uncheck}
  - {step: cool_off, sleep: 2h}
  - {step: tell, kind: retriable, call: mail.send}
"""

ERRAND = """
saga: errand
version: 1
key: ${{ input.id }}
steps:
  - {step: ask, call: clerk.ask, compensate: none}
  - {step: inner, saga: part, with: {size: "${{ steps.ask.result.size }}"}}
  - {step: maybe, if: "${{ input.big }}", call: clerk.weigh, compensate: none}
  - {step: nap, sleep: 2h}
  - {step: look, kind: read_only, call: clerk.look}
  - {step: close, kind: retriable, call: clerk.close}
  - {step: peek, kind: read_only, call: clerk.peek}
"""
HEARD = '{subject: TRIPS.confirmed, key: "${{ event.data.id }}"}'
PART = """
saga: part
version: 1
steps:
  - {step: cut, call: saw.cut, with: {size: "${{ input.size }}"}, compensate: {call: saw.glue}}
"""


@pytest.fixture
def trips(project: Path) -> Trips:
    write_trip(project)
    (project / "definitions" / "travel.yaml").write_text(FLIGHT_AND_HOTEL, encoding="utf-8")
    (project / "definitions" / "errand.yaml").write_text(ERRAND, encoding="utf-8")
    (project / "definitions" / "part.yaml").write_text(PART, encoding="utf-8")
    return Trips(project)


def waves(saga: Saga, key: str, supposed: str) -> list[tuple[list[str], list[str]]]:
    """What each wave follows from, and the commands it sends."""
    foreseen = json.loads(saga("plan", key, "--if", supposed, "-o", "json").out)
    return [
        (wave["after"], [f"{one['participant']}.{one['command']}" for one in wave["commands"]])
        for wave in foreseen["waves"]
    ]


def test_a_plan_tells_the_waves_of_a_cancel_and_writes_nothing(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"))
    before = saga("history", "t-1", "-o", "jsonl").out
    foreseen = json.loads(saga("plan", "t-1", "--if", "cancel", "-o", "json").out)
    assert (foreseen["key"], foreseen["if"], foreseen["status"]) == ("t-1", "cancel", "compensated")
    command = {
        "step": "reserve",
        "item": None,
        "direction": "compensate",
        "participant": "hotel",
        "command": "release",
        "payload": {"why": "cancelled"},
    }
    assert foreseen["waves"] == [
        {"after": ["cancel"], "wait_ms": 0, "commands": [command], "events": []},
        {"after": ["reserve is undone"], "wait_ms": 0, "commands": [], "events": []},
    ]
    assert saga("plan", "t-1", "--if", "cancel").out.splitlines() == [
        "trip  t-1  if cancel",
        "1. when the saga is cancelled",
        '   ← hotel.release for reserve  {"why": "cancelled"}',
        "2. when reserve is undone",
        "the saga would be compensated",
    ]
    assert saga("history", "t-1", "-o", "jsonl").out == before


def test_what_is_planned_is_what_happens(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"))
    planned = json.loads(saga("plan", "t-1", "--if", "cancel", "-o", "json").out)["waves"][0]["commands"][0]
    saga("cancel", "t-1", "--why", "x")
    issued = json.loads(saga("history", "t-1", "-o", "jsonl").out.splitlines()[-1])
    assert issued["type"] == "CommandIssued"
    assert (issued["data"]["step"], issued["data"]["direction"]) == (planned["step"], planned["direction"])
    assert issued["data"]["payload"] == planned["payload"]


def test_parallel_steps_are_undone_in_one_wave_and_in_reverse_order(trips: Trips, saga: Saga) -> None:
    saga("start", "travel", "--input", '{"id": "x"}')
    assert waves(saga, "x", "cancel")[0] == (
        ["cancel", "flight succeeds", "hotel succeeds"],
        ["air.cancel", "hotel.cancel"],
    )
    assert waves(saga, "x", "fail@bags") == [
        (["flight succeeds", "hotel succeeds"], ["insurer.insure"]),
        (["insure succeeds"], ["air.check"]),
        (["bags/0 is rejected"], ["insurer.drop"]),
        (["insure is undone"], ["hotel.cancel", "air.cancel"]),
        (["hotel is undone", "flight is undone"], []),
    ]


def test_a_value_that_nobody_knows_yet_is_shown_as_it_is_written(trips: Trips, saga: Saga) -> None:
    saga("start", "travel", "--input", '{"id": "x"}')
    foreseen = json.loads(saga("plan", "x", "--if", "fail@bags", "-o", "json").out)
    assert foreseen["waves"][0]["commands"][0]["payload"] == {"flight": "${{ steps.flight.result.number }}"}
    assert foreseen["waves"][1]["commands"][0]["payload"] == {"bag": "${{ bag.id }}"}


def test_a_signal_comes_before_a_step_that_waits_behind_it(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    assert waves(saga, "t-1", "fail@pay") == [
        (["reserve succeeds", "Confirmed comes for confirm"], ["card.charge"]),
        (["pay is rejected"], ["hotel.release"]),
        (["reserve is undone"], []),
    ]


def test_a_wait_that_an_event_ends_as_well_says_on_which_subject(project: Path, trips: Trips, saga: Saga) -> None:
    text = DEFINITION.replace("saga: trip", "saga: heard").replace("timeout: 1h", f"timeout: 1h, on: {HEARD}")
    (project / "definitions" / "heard.yaml").write_text(text, encoding="utf-8")
    saga("start", "heard", "--input", '{"id": "h-1"}')
    shown = saga("plan", "h-1", "--if", "fail@pay").out
    assert "Confirmed comes for confirm (a signal, or an event on TRIPS.confirmed)" in " ".join(shown.split())
    trips.give("h-1", succeeds("reserve"))
    waits = "confirm: for the signal Confirmed, or an event on TRIPS.confirmed, until"
    assert waits in " ".join(saga("show", "h-1").out.split())
    trips.start("t-1")
    assert "an event on" not in saga("plan", "t-1", "--if", "fail@pay").out


def test_a_history_for_people_tells_later_times_as_times_and_one_for_programs_as_they_are_stored(
    trips: Trips, saga: Saga
) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"))
    (timer,) = [
        row
        for row in map(json.loads, saga("history", "t-1", "-o", "jsonl").out.splitlines())
        if row["type"] == "TimerSet"
    ]
    assert isinstance(timer["data"]["due"], int)
    (told,) = [line for line in saga("history", "t-1").out.splitlines() if "TimerSet" in line]
    assert re.search(r'"due": "\d{4}-\d\d-\d\dT[\d:.]+Z"', told), told
    assert str(timer["data"]["due"]) not in told


def test_a_wait_fails_when_its_time_is_over(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"))
    foreseen = json.loads(saga("plan", "t-1", "--if", "fail@confirm", "-o", "json").out)
    assert foreseen["waves"][0]["after"] == ["no Confirmed comes for confirm"]
    assert 3_500_000 < foreseen["waves"][0]["wait_ms"] <= 3_600_000
    told = saga("plan", "t-1", "--if", "fail@confirm").out.splitlines()[1]
    assert re.fullmatch(r"1\. after (1 h|59 min( \d+ s)?), when no Confirmed comes for confirm", told), told


def test_a_cancel_while_the_pivot_is_open_rests_on_its_rejection(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"), confirmed)
    foreseen = json.loads(saga("plan", "t-1", "--if", "cancel", "-o", "json").out)
    assert foreseen["notes"] == ["a cancel waits for the outcome of the pivot; it is supposed to be rejected"]
    assert foreseen["waves"][0]["after"] == ["cancel", "pay is rejected"]


def test_a_suspended_saga_is_planned_from_its_resumption(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", succeeds("reserve"), suspended)
    foreseen = json.loads(saga("plan", "t-1", "--if", "cancel", "-o", "json").out)
    assert foreseen["notes"] == ["the saga is suspended: nothing is sent before it is resumed"]
    assert foreseen["waves"][0]["after"] == ["cancel", "resume"]
    assert "note: the saga is suspended" in saga("plan", "t-1", "--if", "cancel").out


def test_time_passes_and_children_are_undone_in_a_plan(trips: Trips, saga: Saga) -> None:
    saga("start", "errand", "--input", '{"id": "x", "big": true}')
    foreseen = json.loads(saga("plan", "x", "--if", "fail@look", "-o", "json").out)
    assert [(wave["after"], wave["wait_ms"] // 1000) for wave in foreseen["waves"]] == [
        (["ask succeeds"], 0),
        (["inner/cut succeeds"], 0),
        (["maybe succeeds", "time passes"], 7200),
        (["look is rejected"], 0),
        (["inner/cut is undone"], 0),
    ]
    cut = foreseen["waves"][0]["commands"][0]
    assert (cut["step"], cut["payload"]) == ("inner/cut", {"size": "${{ steps.ask.result.size }}"})
    glue = foreseen["waves"][3]["commands"][0]
    assert (glue["participant"], glue["command"], glue["payload"]) == ("saw", "glue", cut["payload"])


def test_a_step_that_would_never_be_sent_is_refused_with_the_reason(trips: Trips, saga: Saga, project: Path) -> None:
    saga("start", "errand", "--input", '{"id": "x", "big": false}')
    assert "maybe would not fail: it would be skipped" in saga("plan", "x", "--if", "fail@maybe").err
    late = ERRAND.replace("version: 1", "version: 2\ntimeout: 1h")
    (project / "definitions" / "errand.yaml").write_text(late, encoding="utf-8")
    saga("start", "errand", "--input", '{"id": "y", "big": true}')
    assert (
        "look would not be reached: the saga would be compensating before" in saga("plan", "y", "--if", "fail@look").err
    )
    refused = saga("plan", "y", "--if", "fail@peek")
    assert refused.code == 1
    assert "peek cannot fail: past the point of no return it is tried without bound" in refused.err


@pytest.mark.parametrize(
    ("status", "supposed", "reason"),
    [
        (Status.COMPLETED, "cancel", "the saga is completed already"),
        (Status.COMPENSATING, "cancel", "the saga is being compensated already"),
        (Status.COMPENSATING, "fail@pay", "the saga is being compensated already"),
        (Status.COMPENSATED, "fail@pay", "the saga is compensated already"),
        (Status.RUNNING, "fail@print", "past the point of no return it is tried without bound"),
    ],
)
def test_what_cannot_happen_is_refused_with_the_reason(
    trips: Trips, saga: Saga, status: Status, supposed: str, reason: str
) -> None:
    trips.bring("t-1", status)
    done = saga("plan", "t-1", "--if", supposed)
    assert (done.code, done.out) == (1, "")
    assert reason in done.err


def test_a_cancel_past_the_point_of_no_return_and_a_step_that_is_done_are_refused(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    trips.give("t-1", *PAID)
    assert "a cancel would be recorded and refused" in saga("plan", "t-1", "--if", "cancel").err
    assert "reserve is succeeded already" in saga("plan", "t-1", "--if", "fail@reserve").err
    saga("start", "travel", "--input", '{"id": "x"}')
    assert "cool_off cannot fail: it only lets time pass" in saga("plan", "x", "--if", "fail@cool_off").err


@pytest.mark.parametrize(
    ("supposed", "expected"),
    [("fail@pya", 'did you mean "pay"?'), ("sleep", "expected cancel, or fail@"), ("fail@", "has no such step")],
)
def test_a_supposition_with_a_mistake_has_exit_code_2(trips: Trips, saga: Saga, supposed: str, expected: str) -> None:
    trips.start("t-1")
    done = saga("plan", "t-1", "--if", supposed)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


@pytest.mark.parametrize("asked", [[], ["--if", "fail"], ["--if", "fial@pay"]])
def test_what_may_be_supposed_is_said_when_it_is_missing_or_wrong(trips: Trips, saga: Saga, asked: list[str]) -> None:
    done = saga("plan", "t-1", *asked)
    assert (done.code, done.out) == (2, "")
    assert "expected cancel, or fail@ and the name of a step" in done.err
