"""`saga audit` over a project's own store: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from saga_engine.audit.check import numbers, texts
from saga_engine.audit.rows import SECTIONS
from tests.unit.cli.conftest import Saga
from tests.unit.cli.test_commands import DEFINITION


@pytest.fixture
def greeted(project: Path, saga: Saga) -> Path:
    """A project with two sagas, and nobody who runs them."""
    (project / "definitions").mkdir()
    (project / "definitions" / "greet.yaml").write_text(DEFINITION, encoding="utf-8")
    for name in ("ann", "bob"):
        assert saga("start", "greet", "--input", json.dumps({"name": name})).code == 0
    return project


def tamper(project: Path, statement: str) -> None:
    with closing(sqlite3.connect(project / ".saga" / "engine.db")) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


def test_a_sound_store_has_every_invariant_checked_and_none_broken(greeted: Path, saga: Saga) -> None:
    done = saga("audit")
    assert (done.code, done.err) == (0, "2 sagas audited, 0 violations\n")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["NUMBER", "CHECKED", "VIOLATIONS", "INVARIANT"]
    told = [number for number in numbers() if texts(number, SECTIONS)]
    assert [line[:3] for line in lines[1:]] == [[number, "2", "0"] for number in told]
    assert {"A1", "A3", "A4", "A5", "A8", "B4", "B5", "B6", "B7", "E1"} <= set(told)


def test_a_broken_saga_is_named_with_the_number_and_what_was_expected(greeted: Path, saga: Saga) -> None:
    tamper(greeted, "UPDATE saga_events SET version = 3 WHERE version = 2")
    done = saga("audit", "ann")
    assert done.code == 1
    first, second = done.out.splitlines()[:2]
    assert first.startswith("A1 ")
    assert first.endswith(" no event has version 2; expected: versions 1 to 3 without a gap")
    assert second.endswith(" the last event has version 3; expected: version 2, as its row says")
    assert "1 saga audited, " in done.err


def test_a_time_that_is_none_is_named_by_the_audit_and_by_whoever_shows_the_saga(greeted: Path, saga: Saga) -> None:
    tamper(greeted, "UPDATE saga_events SET at = 'tomorrow' WHERE version = 2")
    done = saga("audit", "ann")
    assert done.code == 1
    assert "A3 " in done.out
    assert "its time is 'tomorrow', expected microseconds since 1970" in done.out
    for command in ("show", "history"):
        shown = saga(command, "ann")
        assert (shown.code, shown.out) == (1, "")
        assert shown.err.startswith("Error: saga ")
        assert "CommandIssued at version 2 cannot be read (its time is 'tomorrow', expected" in shown.err
        assert "a backup of the store has what it was" in shown.err


def test_a_version_that_is_none_is_named_as_well(greeted: Path, saga: Saga) -> None:
    tamper(greeted, "UPDATE saga_events SET version = 'x' WHERE version = 2")
    assert "A1 " in saga("audit", "ann").out
    shown = saga("show", "ann")
    assert (shown.code, shown.out) == (1, "")
    assert "event CommandIssued at version x cannot be read (its version is no integer)" in shown.err


def test_what_was_found_is_a_document_for_programs(greeted: Path, saga: Saga) -> None:
    sound = json.loads(saga("audit", "-o", "json").out)
    assert (sound["holds"], sound["sagas"], sound["violations"]) == (True, 2, [])
    tamper(greeted, "UPDATE saga_streams SET status = 'closed'")
    done = saga("audit", "-o", "jsonl")
    (line,) = done.out.splitlines()
    broken = json.loads(line)
    assert (done.code, broken["holds"]) == (1, False)
    assert {row["number"]: row["violations"] for row in broken["invariants"] if row["violations"]} == {"A4": 2}
    assert [violation["seen"] for violation in broken["violations"]] == ["its row has status 'closed'"] * 2


def test_all_violations_are_counted_and_as_many_printed_as_were_asked_for(greeted: Path, saga: Saga) -> None:
    tamper(greeted, "UPDATE saga_streams SET status = 'closed'")
    done = saga("audit", "--limit", "1")
    assert done.out.splitlines()[1] == "A4 and 1 more: --all"
    assert done.err == "2 sagas audited, 2 violations\n"
    assert "more: --all" not in saga("audit", "--limit", "1", "--all").out
    assert len(json.loads(saga("audit", "--limit", "1", "-o", "json").out)["violations"]) == 2


def test_what_the_rest_follows_from_is_told_first_however_much_follows(greeted: Path, saga: Saga) -> None:
    for number in range(5):
        assert saga("start", "greet", "--input", json.dumps({"name": f"n{number}"})).code == 0
    tamper(greeted, 'UPDATE saga_definitions SET content = replace(content, \'"step":"\', \'"step":"x\')')
    done = saga("audit")
    told = done.out[: done.out.index("NUMBER")].splitlines()
    assert [line.split()[0] for line in told[:4]] == ["A8"] * 4
    assert told[3] == "A8 and 4 more: --all"
    broken = {line.split()[0] for line in told if line[:1] in set("ABCDE")}
    assert len(broken) > 1
    assert told[-2] == "See to A8 first: the others may follow from it."
    assert len(told) <= 4 * len(broken) + 3


def test_only_sagas_of_a_name_are_audited(greeted: Path, saga: Saga) -> None:
    assert saga("audit", "--saga", "other").err == "0 sagas audited, 0 violations\n"
    assert saga("audit", "--saga", "greet").err == "2 sagas audited, 0 violations\n"


def test_a_saga_that_is_not_there_is_not_found(greeted: Path, saga: Saga) -> None:
    done = saga("audit", "nobody")
    assert (done.code, done.out, done.err) == (3, "", "Error: no saga with id or key 'nobody'\n")


def test_nothing_is_changed(greeted: Path, saga: Saga) -> None:
    def dump() -> list[str]:
        with closing(sqlite3.connect(greeted / ".saga" / "engine.db")) as connection:
            return list(connection.iterdump())

    before = dump()
    assert saga("audit").code == 0
    assert dump() == before
