"""`saga watch`: what is told while sagas go on, in an outage, at the end, on a terminal and in a pipe; its rates."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from saga_engine.cli import live
from saga_engine.cli.commands import watch as command
from saga_engine.cli.following import Look, looks
from saga_engine.cli.overview import Overlooker, Overview
from saga_engine.cli.views.overview import overview_json, overview_line, overview_lines
from saga_engine.cli.waiting import Timing
from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead
from saga_engine.errors import StoreUnavailableError
from saga_engine.orchestrator.client import Client
from saga_engine.ports.store import StreamFilter
from tests.unit.cli.conftest import Saga
from tests.unit.cli.test_views import text
from tests.unit.cli.trips import PAID, Trips, cancelled, json_lines, not_undone, succeeds, undone, write_trip

START = 1_700_000_000_000_000
SECOND = 1_000_000
INTERRUPTED = "\ninterrupted\n"
"""On a line of its own, behind the `^C` that a terminal shows."""

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def trips(project: Path) -> Trips:
    write_trip(project)
    return Trips(project)


Script = Callable[..., list[float]]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Call it with what happens in the pauses, one after the other; then Ctrl-C is pressed. The pauses so far."""

    def script(*happenings: Callable[[], object]) -> list[float]:
        pauses: list[float] = []
        following = iter(happenings)

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            happens = next(following, None)
            if happens is None:
                raise KeyboardInterrupt
            happens()

        monkeypatch.setattr(command, "time", SimpleNamespace(monotonic=itertools.repeat(0.0).__next__, sleep=sleep))
        return pauses

    return script


def test_each_event_is_a_line_as_it_happens_until_the_saga_has_ended(
    trips: Trips, saga: Saga, meanwhile: Script
) -> None:
    trips.start("t-1")
    pauses = meanwhile(
        lambda: None, lambda: trips.give("t-1", *PAID), lambda: None, lambda: trips.give("t-1", succeeds("print"))
    )
    done = saga("watch", "t-1", "--interval", "250ms")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("trip  t-1  running  for ")
    assert lines[-1] == "trip t-1 is completed"
    shown = saga("show", "t-1").out.splitlines()
    happened = [line for line in shown if line.startswith("     +")]
    assert [line for line in lines if line.startswith("     +")] == happened
    assert pauses == [0.25] * 4


def test_a_saga_that_ends_compensated_ends_the_watching_with_5_and_a_blocked_one_has_not_ended(
    trips: Trips, saga: Saga, meanwhile: Script
) -> None:
    trips.bring("t-1", Status.COMPENSATING)
    meanwhile(lambda: trips.give("t-1", undone("reserve")))
    assert saga("watch", "t-1").code == 5
    trips.bring("t-2", Status.COMPENSATING)
    meanwhile(lambda: trips.give("t-2", not_undone("reserve")), lambda: None)
    blocked = saga("watch", "t-2")
    assert (blocked.code, blocked.err) == (130, INTERRUPTED)
    assert "blocked, an operator is needed: away: nobody is at the hotel" in blocked.out


def test_the_events_for_programs_are_those_of_history(trips: Trips, saga: Saga, meanwhile: Script) -> None:
    trips.start("t-1")
    meanwhile(lambda: trips.give("t-1", succeeds("reserve"), cancelled), lambda: trips.give("t-1", undone("reserve")))
    watched = saga("watch", "t-1", "-o", "jsonl")
    assert (watched.code, watched.err) == (5, "")
    assert watched.out == saga("history", "t-1", "-o", "jsonl").out
    assert [row["version"] for row in json_lines(watched.out)] == [*range(1, watched.out.count("\n") + 1)]


def test_a_key_of_nobody_and_json_as_one_document_are_refused(trips: Trips, saga: Saga) -> None:
    trips.start("t-1")
    assert saga("watch", "t-9").code == 3
    refused = saga("watch", "t-1", "-o", "json")
    assert refused.code == 2
    assert "use -o jsonl" in refused.err


def test_an_outage_is_told_once_and_the_watching_goes_on_after_it(
    trips: Trips, saga: Saga, meanwhile: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips.start("t-1")
    reach = Client.status

    def away(self: Client, saga_id: UUID) -> StreamHead:
        raise StoreUnavailableError("nobody answers at db:5432")

    def comes_back() -> None:
        monkeypatch.setattr(Client, "status", reach)
        trips.give("t-1", *PAID, succeeds("print"))

    meanwhile(lambda: monkeypatch.setattr(Client, "status", away), lambda: None, comes_back)
    done = saga("watch", "t-1")
    assert done.code == 0
    assert done.err.splitlines() == [
        "the database is away, and is asked again: nobody answers at db:5432",
        "the database is back",
    ]
    assert done.out.endswith("trip t-1 is completed\n")


def test_all_sagas_are_a_line_whenever_something_changes(trips: Trips, saga: Saga, meanwhile: Script) -> None:
    saga("db", "upgrade")
    meanwhile(lambda: None, lambda: None, lambda: trips.bring("t-1", Status.COMPLETED))
    done = saga("watch")
    assert (done.code, done.err) == (130, INTERRUPTED)
    first, second, third = done.out.splitlines()
    assert first == "started -/s  ended -/s  open 0  blocked 0  oldest open none"
    assert second == "started 0.0/s  ended 0.0/s  open 0  blocked 0  oldest open none"
    assert third.endswith("open 0  blocked 0  oldest open none")
    assert third != second


def test_looks_at_all_sagas_of_a_name_are_objects_for_programs(trips: Trips, saga: Saga, meanwhile: Script) -> None:
    trips.bring("t-1", Status.BLOCKED)
    trips.bring("t-2", Status.COMPLETED)
    meanwhile(lambda: trips.start("t-3"))
    first, second = json_lines(saga("watch", "--saga", "trip", "-o", "jsonl").out)
    assert list(first) == ["at", "started_per_s", "ended_per_s", "open", "blocked", "oldest_open", "sagas"]
    assert (first["open"], first["blocked"], first["sagas"]) == (1, 1, {"trip": {"blocked": 1, "completed": 1}})
    assert isinstance(second["oldest_open"], dict)
    assert (second["open"], second["oldest_open"]["key"]) == (2, "t-1")
    assert json_lines(saga("watch", "--saga", "other", "-o", "jsonl").out)[0]["sagas"] == {}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed goes to something that says that it is a terminal of 80 columns and 24 rows."""
    monkeypatch.setattr("saga_engine.cli.watching.can_redraw", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_picture_is_drawn_again_and_the_whole_saga_is_left_in_the_end(
    trips: Trips, saga: Saga, meanwhile: Script
) -> None:
    trips.bring("t-1", Status.COMPENSATING)
    meanwhile(lambda: None, lambda: trips.give("t-1", undone("reserve")))
    done = saga("watch", "t-1")
    assert done.code == 5
    assert "trip  t-1  compensating  for " in STYLE.sub("", done.out)
    assert "\x1b[2K" in done.out, "what was drawn is wiped out"
    ending = STYLE.sub("", done.out).rpartition("\x1b[2K")[2]
    assert "trip  t-1  compensated  in " in ending
    assert ending.splitlines()[-1].endswith("compensated: everything that was done is undone")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_all_sagas_are_a_table_and_an_outage_stands_above_it(
    trips: Trips, saga: Saga, meanwhile: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips.bring("t-1", Status.BLOCKED)

    def away(self: Client) -> Mapping[tuple[str, str], int]:
        raise StoreUnavailableError("nobody answers")

    meanwhile(lambda: None, lambda: monkeypatch.setattr(Client, "counts", away))
    done = saga("watch")
    assert done.code == 130
    first, *_, last = STYLE.sub("", done.out).split("SAGA ")[1:]
    assert "BLOCKED" in first
    assert "t-1  blocked" in first
    assert "the database is away" not in first
    assert "the database is away, and is asked again: nobody answers" in done.out
    assert "t-1  blocked" in last, "what was seen last stays"


def test_a_picture_goes_to_a_terminal_that_can_show_it_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert not live.can_redraw()
    monkeypatch.setattr("sys.stdout", Terminal())
    assert live.can_redraw()
    monkeypatch.setenv("TERM", "dumb")
    assert not live.can_redraw()


def test_a_look_that_takes_long_is_repeated_seldom() -> None:
    times = iter([0.0, 2.0, 2.0, 2.1])
    pauses: list[float] = []
    found = looks(0, lambda seen: seen + 1, 0.5, Timing(lambda: next(times), pauses.append))
    assert [next(found) for _ in range(3)] == [Look(0), Look(1), Look(2)]
    assert pauses == [0.5, 18.0]


class Counted:
    """Sagas that are only counted, at a time that is set."""

    def __init__(self) -> None:
        self.now = START
        self.statuses: dict[tuple[str, str], int] = {}

    def counts(self) -> Mapping[tuple[str, str], int]:
        return self.statuses

    def list(self, wanted: StreamFilter) -> Sequence[StreamHead]:
        return []


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    store = Counted()
    overlooker = Overlooker(store, "trip", 5)
    seen: list[Overview] = []
    for second in range(31):
        store.now = START + second * SECOND
        started = 20 * min(second, 15)
        store.statuses = {
            ("trip", "running"): started - 5 * second,
            ("trip", "closed"): 5 * second,
            ("x", "running"): 9,
        }
        seen.append(overlooker.look())
    assert (seen[0].started_per_s, seen[0].ended_per_s) == (None, None)
    assert (seen[4].started_per_s, seen[4].ended_per_s) == (20, 5)
    assert (seen[20].started_per_s, seen[20].ended_per_s) == (10, 5)
    assert (seen[30].started_per_s, seen[30].ended_per_s) == (0, 5)
    assert seen[30].open == 300 - 150


def test_sagas_that_were_removed_from_the_store_are_no_rate() -> None:
    store = Counted()
    overlooker = Overlooker(store, None, 5)
    store.statuses = {("trip", "closed"): 9}
    overlooker.look()
    store.now, store.statuses = START + SECOND, {}
    assert (overlooker.look().started_per_s, overlooker.look().ended_per_s) == (0, 0)


def head(number: int, status: Status, ended_at: int | None = None) -> StreamHead:
    return StreamHead(UUID(int=number), "trip", f"t-{number}", 1, 1, "h", 0, 1, 1, status, None, START, ended_at)


def test_a_picture_keeps_to_the_rows_there_are_and_says_what_it_leaves_out() -> None:
    names = {(f"saga_{number}", "running"): 1_000 for number in range(40)}
    newest = [head(number, Status.RUNNING) for number in range(50)]
    overview = Overview(START + SECOND, names, 1.25, None, newest[0], newest)
    lines = [text(line) for line in overview_lines(overview, 20)]
    assert len(lines) == 20
    assert lines[0] == "started 1.2/s  ended -/s  open 40,000  blocked 0  oldest open trip t-0 for 1 s"
    assert any(line == "and 29 more; choose one with --saga NAME" for line in lines)
    assert any(line.startswith("trip") for line in lines)
    assert text(overview_line(overview)) == lines[0]
    assert json.dumps(overview_json(overview)["sagas"]).count("1000") == 40
