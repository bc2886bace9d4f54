"""`saga start` with lines of input: many starts, what is refused, and doing it again."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from saga_engine.orchestrator.client import Client
from tests.unit.cli.conftest import Saga

DEFINITION = """
saga: greet
version: 1
key: ${{ input.name }}
input:
  type: object
  required: [name]
  properties: {name: {type: string}, loud: {type: boolean, default: false}}
steps:
  - step: hello
    call: greeter.greet
    with: {name: "${{ input.name }}"}
    compensate: none
"""


@pytest.fixture(autouse=True)
def greeting(project: Path) -> Path:
    """A project with a saga to start."""
    (project / "definitions").mkdir()
    (project / "definitions" / "greet.yaml").write_text(DEFINITION, encoding="utf-8")
    return project


def lines(count: int, first: int = 0) -> str:
    return "".join(f'{{"name": "n-{number}"}}\n' for number in range(first, first + count))


def counted(saga: Saga) -> int:
    return len(json.loads(saga("list", "--limit", "10000", "-o", "json").out))


def test_every_line_of_a_file_is_started_and_doing_it_again_starts_none_twice(greeting: Path, saga: Saga) -> None:
    (greeting / "names.jsonl").write_text(lines(1_203) + "\n  \n", encoding="utf-8")
    first = saga("start", "greet", "--input", "@names.jsonl")
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith("started 1,203, there already 0, refused 0 in ")
    again = saga("start", "greet", "--input", "@names.jsonl")
    assert (again.code, again.err) == (0, "")
    assert again.out.startswith("started 0, there already 1,203, refused 0 in ")
    assert counted(saga) == 1_203


def test_refused_lines_are_told_by_their_numbers_and_the_others_are_started(greeting: Path, saga: Saga) -> None:
    bad = [
        '{"name": 1}',
        "nonsense",
        "[]",
        '{"name": "n-0", "loud": true}',
        '{"name": ""}',
        '{"name": "x", "name": "y"}',
    ]
    (greeting / "names.jsonl").write_text(lines(2) + "\n".join(bad) + "\n\n" + lines(2, first=2), encoding="utf-8")
    done = saga("start", "greet", "--input", "@names.jsonl")
    assert done.code == 1
    assert done.out.startswith("started 4, there already 0, refused 6 in ")
    told = done.err.splitlines()
    assert [line.split(": ")[0] for line in told] == [f"names.jsonl:{number}" for number in range(3, 9)]
    assert "E404" in told[0]
    assert "E306" in told[1]
    assert "is a JSON object" in told[2]
    assert "another input" in told[3]
    assert "not empty" in told[4]
    assert "E302" in told[5]
    assert counted(saga) == 4


def test_as_json_lines_each_line_has_its_outcome(greeting: Path, saga: Saga) -> None:
    (greeting / "names.jsonl").write_text('{"name": "a"}\n{}\n{"name": "a"}\n', encoding="utf-8")
    done = saga("start", "greet", "--input", "@names.jsonl", "-o", "jsonl")
    assert (done.code, done.err) == (1, "")
    first, second, third = (json.loads(line) for line in done.out.splitlines())
    assert (first["line"], first["key"], first["created"]) == (1, "a", True)
    assert second["line"] == 2
    assert "E404" in second["error"]
    assert third == {**first, "line": 3, "created": False}


@pytest.mark.parametrize(
    ("given", "summary"),
    [
        (lines(3), "started 3,"),
        (lines(2).rstrip("\n"), "started 2,"),
        ('\n{"name": "a"}', "started greet a "),
        ('{"name": "a"}\n\n', "started greet a "),
        ('{\n"name": "a"\n}\n', "started greet a "),
    ],
)
def test_stdin_holds_lines_when_its_first_line_is_an_object_and_not_all(
    saga: Saga, monkeypatch: pytest.MonkeyPatch, given: str, summary: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    done = saga("start", "greet", "--input", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(summary)


@pytest.mark.parametrize("option", [["--key", "k"], ["--wait"]])
def test_what_goes_with_one_input_does_not_go_with_lines(greeting: Path, saga: Saga, option: list[str]) -> None:
    (greeting / "names.jsonl").write_text(lines(1), encoding="utf-8")
    done = saga("start", "greet", "--input", "@names.jsonl", *option)
    assert done.code == 2
    assert "one input" in done.err


def test_a_file_that_is_not_there_is_told(saga: Saga) -> None:
    done = saga("start", "greet", "--input", "@nowhere.jsonl")
    assert done.code == 2
    assert "nowhere.jsonl" in done.err


def test_an_interruption_says_what_is_done_and_that_it_may_be_done_again(
    greeting: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    (greeting / "names.jsonl").write_text(lines(1_100), encoding="utf-8")
    start_many, commits = Client.start_many, 0

    def interrupted(client: Client, *args: object, **more: object) -> object:
        nonlocal commits
        commits += 1
        if commits == 3:
            raise KeyboardInterrupt
        return start_many(client, *args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Client, "start_many", interrupted)
        done = saga("start", "greet", "--input", "@names.jsonl")
    assert done.code == 130
    assert "Stopped early: started 1,000, there already 0, refused 0 in " in done.err
    assert "not started twice" in done.err
    assert saga("start", "greet", "--input", "@names.jsonl").out.startswith("started 100, there already 1,000,")


def test_a_changed_definition_is_refused_once_for_all_lines(greeting: Path, saga: Saga) -> None:
    (greeting / "names.jsonl").write_text(lines(3), encoding="utf-8")
    assert saga("start", "greet", "--input", '{"name": "a"}').code == 0
    file = greeting / "definitions" / "greet.yaml"
    file.write_text(DEFINITION.replace("step: hello", "step: hallo"), encoding="utf-8")
    done = saga("start", "greet", "--input", "@names.jsonl")
    assert done.code == 2
    assert done.err.count("version 1") >= 1
    assert "names.jsonl:" not in done.err


def test_lines_that_are_too_long_are_refused_and_the_next_is_read(greeting: Path, saga: Saga) -> None:
    long = '{"name": "' + "x" * 3_000_000 + '"}\n'
    (greeting / "names.jsonl").write_text(lines(1) + long + lines(1, first=1), encoding="utf-8")
    done = saga("start", "greet", "--input", "@names.jsonl")
    assert (done.code, done.out.split(" in ")[0]) == (1, "started 2, there already 0, refused 1")
    assert "names.jsonl:2: $: E402" in done.err
