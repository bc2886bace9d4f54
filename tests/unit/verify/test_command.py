"""`saga verify` as a user runs it: what it prints, and with which exit code it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saga_engine.cli import main
from tests.unit.verify.support import FORK, LINEAR, PIVOT
from tests.unit.verify.test_explore import CROSSED, ENDLESS_WAIT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"linear": LINEAR, "fork": FORK, "pivot": PIVOT, "crossed": CROSSED}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_proof_says_its_bounds_and_what_it_assumes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "linear.yaml"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("linear.yaml: proved for all runs with at most 3 faults\n")
    assert "states," in out
    assert "assumed:\n  - a command that is sent again and again is answered in the end" in out
    assert "abstracted:\n  - messages are a set" in out
    assert "more than 2 attempts were explored as 2" in out


def test_a_counter_example_is_a_timeline_with_the_engines_events(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "crossed.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "crossed.yaml: broken: every effect is undone"
    assert "How it comes about, with 0 faults:" in lines
    assert "   1  the saga is started" in lines
    assert "        → a  command sent" in lines
    assert "        ● saga  compensated: everything that was done is undone" in lines
    assert any(line.startswith("hint: a is undone by another participant, two") for line in lines)


def test_json_holds_the_counter_example(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "pivot.yaml", "--unfenced", "two", "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["proved"], found["exhausted"], found["saga"]) == (False, True, "pivoted")
    assert found["counter_example"]["rule"] == "every saga ends"
    assert found["counter_example"]["happened"][0]["events"][0]["type"] == "SagaStarted"
    assert "p is a pivot without an inbox" in found["hints"][0]


def test_a_wait_without_a_time_limit_is_told_with_what_to_do(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "w waits for Approved without a time limit: if nobody sends it, the saga never ends; give "
    (folder / "endless.yaml").write_text(ENDLESS_WAIT, encoding="utf-8")
    assert main(["verify", "endless.yaml"]) == 1
    assert f"hint: {endless}the wait or the saga a `timeout`" in capsys.readouterr().out.splitlines()
    late = ENDLESS_WAIT.replace("version: 1", "version: 1\ntimeout: 1h")
    late = late.replace("compensate: {call: one.undo}", "kind: retriable")
    (folder / "late.yaml").write_text(late, encoding="utf-8")
    assert main(["verify", "late.yaml", "-o", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["hints"] == [f"{endless}the wait a `timeout`"]


def test_a_time_limit_of_the_saga_or_of_the_wait_ends_it_and_needs_no_hint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crossed = "  - {step: x, call: one.do, compensate: {call: two.undo}}\n"
    for limited in (
        ENDLESS_WAIT.replace("version: 1", "version: 1\ntimeout: 1h"),
        ENDLESS_WAIT.replace("{event: Approved}", "{event: Approved, timeout: 1h}"),
    ):
        (folder / "limited.yaml").write_text(limited + crossed, encoding="utf-8")
        assert main(["verify", "limited.yaml", "-o", "json"]) == 1
        (hint,) = json.loads(capsys.readouterr().out)["hints"]
        assert hint.startswith("x is undone by another participant")


def test_too_few_states_are_said_and_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "fork.yaml", "--max-states", "10"]) == 1
    assert "fork.yaml: not exhausted: no property is broken so far, and none is proved" in capsys.readouterr().out


def test_a_bad_definition_exits_2_with_its_place(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.yaml").write_text("saga: bad\nversion: 1\nsteps: []\n", encoding="utf-8")
    assert main(["verify", "bad.yaml"]) == 2
    assert "bad.yaml:3:" in capsys.readouterr().err


def test_a_missing_file_or_child_exits_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err
    (folder / "parent.yaml").write_text("saga: p\nversion: 1\nsteps:\n  - {step: c, saga: nobody}\n", encoding="utf-8")
    assert main(["verify", "parent.yaml"]) == 2
    assert "parent.yaml:4:" in capsys.readouterr().err


def test_children_are_found_beside_the_file(folder: Path) -> None:
    parent = "saga: p\nversion: 1\nsteps:\n  - {step: c, saga: linear}\n  - {step: z, call: x.y, compensate: none}\n"
    (folder / "parent.yaml").write_text(parent, encoding="utf-8")
    assert main(["verify", "parent.yaml", "--faults", "1"]) == 0


def test_an_unknown_participant_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "linear.yaml", "--unfenced", "lefd"]) == 2
    assert "no step calls it; called are left, right" in capsys.readouterr().err


def test_the_catalogue_says_which_commands_have_no_inbox(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue = {
        name: {"input": None, "result": None, "fenced": name != "two.do"}
        for name in ("one.do", "one.undo", "two.do", "three.do")
    }
    (folder / "participants.json").write_text(json.dumps(catalogue), encoding="utf-8")
    assert main(["verify", "pivot.yaml"]) == 1
    assert "two.do: no inbox" in capsys.readouterr().out
