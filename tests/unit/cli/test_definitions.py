"""`saga definitions`: what the store knows, what the project's files say, and how two definitions differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saga_engine.cli import main
from saga_engine.definition.canonical import definition_hash
from saga_engine.definition.loader import Loaded, load_file, load_text
from saga_engine.definition.text import definition_yaml, written_form
from tests.unit.cli.conftest import Saga
from tests.unit.cli.trips import DEFINITION, Trips, write_trip

CORPUS = Path(__file__).parents[2] / "corpus" / "sound"
REPOSITORY = Path(__file__).parents[3]
SOUND = sorted([*REPOSITORY.glob("definitions/*.yaml"), *REPOSITORY.glob("examples/*.yaml"), *CORPUS.glob("*.yaml")])


@pytest.fixture
def project_file(project: Path) -> Path:
    write_trip(project)
    return project / "definitions" / "trip.yaml"


def states(saga: Saga) -> list[tuple[str, int, str, bool]]:
    rows = json.loads(saga("definitions", "list", "-o", "json").out)
    return [(row["saga"], row["version"], row["state"], row["registered"]) for row in rows]


def test_a_list_says_what_is_registered_and_what_the_project_says(project_file: Path, saga: Saga) -> None:
    assert states(saga) == [("trip", 1, "not registered", False)]
    Trips(project_file.parents[1]).start("t-1")
    assert states(saga) == [("trip", 1, "as registered", True)]
    project_file.write_text(DEFINITION.replace("hotel.reserve", "hotel.take"), encoding="utf-8")
    assert states(saga) == [("trip", 1, "changed", True)]
    project_file.write_text(DEFINITION.replace("version: 1", "version: 2"), encoding="utf-8")
    assert states(saga) == [("trip", 1, "not in the project", True), ("trip", 2, "not registered", False)]
    text = saga("definitions", "list").out.splitlines()
    assert text[0].split() == ["SAGA", "VERSION", "HASH", "STATE", "FILE"]
    assert text[2].endswith("definitions/trip.yaml")


def test_looking_at_definitions_makes_no_database(project_file: Path, saga: Saga) -> None:
    before = sorted(project_file.parents[1].rglob("*"))
    assert states(saga) == [("trip", 1, "not registered", False)]
    for arguments in (("show", "trip"), ("diff", "trip")):
        assert saga("definitions", *arguments).code == 0
    assert sorted(project_file.parents[1].rglob("*")) == before


def test_a_project_without_definitions_says_so(project: Path, saga: Saga) -> None:
    done = saga("definitions", "list")
    assert (done.code, done.out, done.err) == (0, "", "No definitions found.\n")


def test_a_definition_is_shown_with_its_defaults_as_yaml_that_loads_as_the_same(project_file: Path, saga: Saga) -> None:
    shown = saga("definitions", "show", "trip")
    assert shown.code == 0
    assert "backoff_coefficient: 2.0" in shown.out
    before, after = load_file(project_file), load_text(shown.out.encode(), "shown")
    assert isinstance(before, Loaded)
    assert isinstance(after, Loaded)
    assert definition_hash(after.definition) == definition_hash(before.definition)


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_every_sound_definition_is_the_same_after_it_was_written_and_read(path: Path) -> None:
    before = load_file(path)
    assert isinstance(before, Loaded)
    written = definition_yaml(written_form(before.definition))
    after = load_text(written.encode(), "written")
    assert isinstance(after, Loaded), f"{after}\n{written}"
    assert definition_hash(after.definition) == definition_hash(before.definition)


def test_what_is_registered_is_shown_rather_than_an_edited_file(project_file: Path, saga: Saga) -> None:
    Trips(project_file.parents[1]).start("t-1")
    project_file.write_text(DEFINITION.replace("hotel.reserve", "hotel.take"), encoding="utf-8")
    form = json.loads(saga("definitions", "show", "trip@1", "-o", "json").out)
    assert form["steps"][0]["call"] == "hotel.reserve"


def test_a_diff_shows_what_was_edited_and_not_layout_or_comments(project_file: Path, saga: Saga) -> None:
    Trips(project_file.parents[1]).start("t-1")
    same = DEFINITION.replace(
        'with: {id: "${{ input.id }}", room', "# about money\n    with: {\"id\": '${{ input.id }}', room"
    )
    assert same != DEFINITION
    project_file.write_text(same, encoding="utf-8")
    done = saga("definitions", "diff", "trip")
    assert (done.code, done.out, done.err) == (0, "", "trip@1 and definitions/trip.yaml say the same.\n")
    project_file.write_text(DEFINITION.replace("timeout: 1h", "timeout: 2h"), encoding="utf-8")
    lines = saga("definitions", "diff", "trip").out.splitlines()
    assert lines[:2] == ["--- trip@1", "+++ definitions/trip.yaml"]
    assert [line for line in lines[3:] if line[0] in "+-"] == ["-      timeout: 1h", "+      timeout: 2h"]


def test_two_versions_and_a_file_are_compared(project_file: Path, saga: Saga) -> None:
    trips = Trips(project_file.parents[1])
    trips.start("t-1")
    second = DEFINITION.replace("version: 1", "version: 2").replace("timeout: 1h", "timeout: 3h")
    project_file.write_text(second, encoding="utf-8")
    trips.start("t-2")
    (project_file.parents[1] / "other.yaml").write_text(second, encoding="utf-8")
    found = json.loads(saga("definitions", "diff", "trip@1", "trip@2", "-o", "json").out)
    assert (found["from"], found["to"], found["same"]) == ("trip@1", "trip@2", False)
    assert "+version: 2" in found["diff"]
    assert json.loads(saga("definitions", "diff", "trip@2", "other.yaml", "-o", "json").out)["same"]
    # Without a second one, the file of the same version or else the highest of the project.
    assert json.loads(saga("definitions", "diff", "trip@1", "-o", "json").out)["to"] == "definitions/trip.yaml"


def test_a_refused_start_shows_the_same_form_of_difference(project_file: Path, saga: Saga) -> None:
    Trips(project_file.parents[1]).start("t-1")
    project_file.write_text(DEFINITION.replace("timeout: 1h", "timeout: 2h"), encoding="utf-8")
    refused = saga("start", "trip", "--input", '{"id": "t-2"}')
    assert refused.code == 2
    assert "-      timeout: 1h" in refused.err
    assert "+      timeout: 2h" in refused.err


@pytest.mark.parametrize(
    ("args", "code", "expected"),
    [
        (["show", "trap"], 3, 'did you mean "trip"?'),
        (["show", "trip@7"], 3, "saga 'trip' has no version 7; it has: 1"),
        (["show", "trip@x"], 2, "such as place_order@1"),
        (["diff", "trip", "absent.yaml"], 2, "absent.yaml:1:1: E100"),
        (["diff", "trip", "trip@2"], 3, "has no version 2"),
    ],
)
def test_what_is_not_there_is_named(project_file: Path, saga: Saga, args: list[str], code: int, expected: str) -> None:
    done = saga("definitions", *args)
    assert (done.code, done.out) == (code, "")
    assert expected in done.err


def test_a_saga_that_the_project_does_not_define_has_nothing_to_be_compared_with(
    project_file: Path, saga: Saga
) -> None:
    Trips(project_file.parents[1]).start("t-1")
    project_file.unlink()
    done = saga("definitions", "diff", "trip")
    assert done.code == 3
    assert "the project has no file that defines trip" in done.err


def test_the_schema_of_the_language_is_printed_without_a_project(
    tmp_path: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = saga("schema")
    assert printed.code == 0
    assert json.loads(printed.out)["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert saga("schema", "-o", "jsonl").out.count("\n") == 1


def test_the_exit_code_of_help_is_0_for_every_group() -> None:
    assert [main([group, "--help"]) for group in ("definitions", "participants")] == [0, 0]
