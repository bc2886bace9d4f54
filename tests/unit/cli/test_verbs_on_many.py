"""An operator's verbs on all sagas that a filter finds: shown first, done with --yes, a result for each."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime
from pathlib import Path

import pytest

from saga_engine.cli import acting
from saga_engine.core.state import Status
from saga_engine.orchestrator.client import Client
from tests.unit.cli.conftest import Saga
from tests.unit.cli.trips import Trips, json_lines, write_trip

KEYS = ("a", "b", "c")


@pytest.fixture
def trips(project: Path) -> Trips:
    write_trip(project)
    return Trips(project)


def statuses(saga: Saga) -> dict[str, str]:
    return {row["key"]: row["status"] for row in json.loads(saga("list", "-o", "json").out)}


def test_without_yes_the_sagas_of_a_filter_are_shown_and_nothing_is_done(trips: Trips, saga: Saga) -> None:
    for key in KEYS:
        trips.start(key)
    shown = saga("cancel", "--saga", "trip")
    assert shown.code == 0
    assert [line.split()[2] for line in shown.out.splitlines()[1:]] == list(KEYS)
    assert shown.err == "cancel would be done to 3 sagas; nothing was done: add --yes to do it\n"
    rows = json_lines(saga("cancel", "--status", "running", "-o", "jsonl").out)
    assert [(row["key"], row["verb"], row["result"]) for row in rows] == [(key, "cancel", "not_done") for key in KEYS]
    assert statuses(saga) == dict.fromkeys(KEYS, "running")


class Keyboard(io.StringIO):
    """A terminal at which somebody types this."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "status"), [("3", "suspended"), ("y", "running"), ("", "running"), ("33", "running")]
)
def test_at_a_terminal_it_is_done_once_the_number_of_sagas_is_typed(
    trips: Trips, saga: Saga, monkeypatch: pytest.MonkeyPatch, typed: str, status: str
) -> None:
    for key in KEYS:
        trips.start(key)
    monkeypatch.setattr(sys, "stdin", Keyboard(f"{typed}\n"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = saga("suspend", "--saga", "trip", "--why", "maintenance")
    assert done.code == 0
    assert "Type 3 to suspend 3 sagas, anything else to leave it" in done.err
    assert statuses(saga) == dict.fromkeys(KEYS, status)


@pytest.mark.parametrize("args", [("--why", "x", "-o", "json"), ()], ids=["for a program", "without a reason"])
def test_nobody_is_asked_who_cannot_answer(
    trips: Trips, saga: Saga, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    trips.start("a")
    monkeypatch.setattr(sys, "stdin", Keyboard("1\n"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    done = saga("cancel", "--saga", "trip", *args)
    assert "Type 1" not in done.err
    assert statuses(saga) == {"a": "running"}


def test_with_yes_it_is_done_to_each_in_batches_with_progress_and_a_result_for_each(
    trips: Trips, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "BATCH", 2)
    for key in KEYS:
        trips.start(key)
    trips.bring("done", Status.COMPLETED)
    done = saga("suspend", "--saga", "trip", "--yes", "--why", "maintenance", "-o", "jsonl")
    assert done.code == 0
    rows = json_lines(done.out)
    assert [(row["key"], row["result"], row["status"]) for row in rows] == [(key, "done", "suspended") for key in KEYS]
    assert done.err.splitlines()[-1] == "suspend: 3 done, 0 nothing, 0 refused"
    assert statuses(saga) == {**dict.fromkeys(KEYS, "suspended"), "done": "completed"}
    again = saga("resume", "--status", "suspended", "--yes", "--why", "over", "-o", "json")
    assert [row["result"] for row in json.loads(again.out)] == ["done"] * 3
    assert statuses(saga) == {**dict.fromkeys(KEYS, "running"), "done": "completed"}


def test_repeating_it_changes_nothing(trips: Trips, saga: Saga) -> None:
    for key in KEYS:
        trips.start(key)
    saga("cancel", "--saga", "trip", "--yes", "--why", "x")
    again = saga("cancel", "--saga", "trip", "--yes", "--why", "x")
    assert again.code == 0
    assert again.err.splitlines()[-1] == "cancel: 0 done, 3 nothing, 0 refused"


def test_one_that_is_refused_leaves_the_others_done_and_exit_code_1(trips: Trips, saga: Saga) -> None:
    trips.bring("a", Status.BLOCKED)
    trips.bring("b", Status.BLOCKED)
    done = saga("skip", "--status", "blocked", "--step", "pay", "--yes", "--why", "x")
    assert done.code == 1
    assert done.err.splitlines()[-1] == "skip: 0 done, 0 nothing, 2 refused"
    done = saga("skip", "--status", "blocked", "--step", "reserve", "--yes", "--why", "x")
    assert done.code == 0
    assert statuses(saga) == {"a": "closed", "b": "closed"}


def test_a_filter_by_age_counts_from_the_start_of_a_saga(
    trips: Trips, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips.start("old")
    trips.start("new")
    shown = json.loads(saga("show", "new", "-o", "json").out)
    started = int(datetime.fromisoformat(shown["started_at"]).timestamp() * 1_000) * 1_000

    def found(age_of_new: int) -> list[object]:
        monkeypatch.setattr(Client, "now", property(lambda _: started + age_of_new))
        rows = json_lines(saga("suspend", "--older-than", "1h", "-o", "jsonl").out)
        return [row["key"] for row in rows]

    hour = 3_600_000_000
    assert found(hour + 1_000) == ["old", "new"]
    assert found(hour) == ["old"]
    assert found(0) == []


def test_a_status_that_does_not_allow_the_verb_is_a_mistake(trips: Trips, saga: Saga) -> None:
    saga("db", "upgrade")
    done = saga("retry", "--status", "running", "--yes")
    assert (done.code, done.out) == (2, "")
    assert "--status running: retry is for sagas that are blocked" in done.err


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], "name a saga by ID|KEY, or many by"),
        (["a", "--status", "blocked"], "go with a filter, not with ID|KEY"),
        (["a", "--yes"], "go with a filter, not with ID|KEY"),
        (["--older-than", "2"], "expected a duration"),
    ],
)
def test_it_must_be_clear_who_is_meant(trips: Trips, saga: Saga, args: list[str], expected: str) -> None:
    done = saga("retry", *args)
    assert (done.code, done.out) == (2, "")
    assert expected in done.err


def test_a_verb_without_a_reason_is_shown_but_not_done(trips: Trips, saga: Saga) -> None:
    trips.start("a")
    assert saga("cancel", "--saga", "trip").code == 0
    assert saga("cancel", "--saga", "trip", "--yes").code == 2
    assert statuses(saga) == {"a": "running"}


def test_many_are_signalled_under_one_id(trips: Trips, saga: Saga) -> None:
    for key in KEYS:
        trips.start(key)
    rows = json_lines(saga("signal", "Confirmed", "--saga", "trip", "--yes", "-o", "jsonl").out)
    assert [row["result"] for row in rows] == ["done"] * 3
    assert len({row["signal_id"] for row in rows}) == 1
    refused = saga("signal", "Confirmd", "--saga", "trip", "--yes", "-o", "jsonl")
    assert refused.code == 1
    assert [row["result"] for row in json_lines(refused.out)] == ["refused"] * 3


def test_a_filter_that_finds_none_says_so(trips: Trips, saga: Saga) -> None:
    saga("db", "upgrade")
    shown = saga("cancel", "--saga", "trip")
    assert (shown.code, shown.out, shown.err) == (0, "", "cancel would be done to 0 sagas\n")
    done = saga("cancel", "--saga", "trip", "--yes", "--why", "x", "-o", "json")
    assert (done.code, done.out) == (0, "[]\n")
