"""`saga participants`: the commands of the handlers, exported, and then used by `validate` and the loader."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Saga

HANDLERS = '''
from pydantic import BaseModel

from saga_engine.participant import Context, Participant

hotel = Participant("hotel")


class Reserve(BaseModel):
    id: str


class Reserved(BaseModel):
    room: int


@hotel.command
def reserve(ctx: Context, command: Reserve) -> Reserved:
    return Reserved(room=7)


@hotel.command
async def wake(ctx: Context, command: dict[str, object]) -> None:
    """Calls the room."""
'''
DEFINITION = """
saga: stay
version: 1
steps:
  - {step: reserve, call: hotel.reserve, with: {id: a}, compensate: none}
  - {step: wake, call: hotel.wake, with: {room: "${{ steps.reserve.result.rom }}"}, compensate: none}
"""


@pytest.fixture
def hotel(project: Path, forgotten: None) -> Path:
    """A project with handlers."""
    for folder in ("participants", "definitions"):
        (project / folder).mkdir()
    (project / "participants" / "__init__.py").write_text("", encoding="utf-8")
    (project / "participants" / "hotel.py").write_text(HANDLERS, encoding="utf-8")
    (project / "definitions" / "stay.yaml").write_text(DEFINITION, encoding="utf-8")
    return project


def test_the_commands_of_the_handlers_are_listed(hotel: Path, saga: Saga) -> None:
    listed = saga("participants", "list")
    assert listed.code == 0
    assert [line.split()[:4] for line in listed.out.splitlines()] == [
        ["COMMAND", "FENCED", "TAKES", "GIVES"],
        ["hotel.reserve", "yes", "id", "room"],
        ["hotel.wake", "no", "object", "null"],
    ]
    rows = json.loads(saga("participants", "list", "-o", "json").out)
    assert [(row["participant"], row["command"], row["fenced"]) for row in rows] == [
        ("hotel", "reserve", True),
        ("hotel", "wake", False),
    ]
    assert rows[0]["result"]["properties"]["room"]["type"] == "integer"
    line = HANDLERS.splitlines().index("@hotel.command") + 1
    assert rows[0]["handler"] == f"participants/hotel.py:{line}"


def test_an_exported_catalogue_lets_validate_and_start_find_a_misspelt_path(hotel: Path, saga: Saga) -> None:
    assert saga("validate").code == 0
    done = saga("participants", "export")
    assert (done.code, done.out, done.err) == (0, "", "definitions/participants.json: 2 commands\n")
    exported = json.loads((hotel / "definitions" / "participants.json").read_text())
    assert sorted(exported) == ["hotel.reserve", "hotel.wake"]
    assert (exported["hotel.reserve"]["fenced"], exported["hotel.wake"]["fenced"]) == (True, False)
    for command in (["validate"], ["start", "stay"], ["definitions", "list"]):
        refused = saga(*command)
        assert refused.code == 2
        assert "definitions/stay.yaml:6:" in refused.out + refused.err
        assert "rom" in refused.out + refused.err


def test_strictly_a_definition_is_checked_by_what_the_handlers_take_and_give_without_an_export(
    hotel: Path, saga: Saga
) -> None:
    assert saga("validate").code == 0
    refused = saga("validate", "--strict")
    assert refused.code == 2
    assert 'has no field "rom"; expected one of room; did you mean "room"?' in refused.out
    text = (hotel / "definitions" / "stay.yaml").read_text(encoding="utf-8").replace(".rom", ".room")
    (hotel / "definitions" / "stay.yaml").write_text(text, encoding="utf-8")
    assert saga("validate", "--strict").code == 0
    (hotel / "definitions" / "stay.yaml").write_text(text.replace("{id:", "{ide:", 1), encoding="utf-8")
    misspelt = saga("validate", "--strict")
    assert misspelt.code == 1
    assert 'W304 hotel.reserve takes no "ide"; expected one of id; did you mean "id"? (warning)' in misspelt.out


STRAY = """
saga: stay
version: 1
steps:
  - {step: reserve, call: hotel.resrve, with: {id: a}, compensate: {call: mail.send}}
"""


def test_strictly_a_command_that_no_handler_serves_is_a_warning_with_its_place(hotel: Path, saga: Saga) -> None:
    (hotel / "definitions" / "stay.yaml").write_text(STRAY, encoding="utf-8")
    assert saga("validate").code == 0
    done = saga("validate", "--strict")
    assert done.code == 1
    told = [line for line in done.out.splitlines() if "W303" in line]
    assert [line.partition("; expected")[0] for line in told] == [
        "definitions/stay.yaml:5:27: W303 no handler serves hotel.resrve",
        "definitions/stay.yaml:5:75: W303 no handler serves mail.send",
    ]
    assert 'did you mean "hotel.reserve"? (warning)' in told[0]
    refused = "definitions/stay.yaml: valid but for 3 warnings, which --strict does not accept: stay version 1, 1 step"
    assert done.out.splitlines()[-1] == refused
    rows = json.loads(saga("validate", "--strict", "-o", "json").out)
    assert [(row["valid"], len([one for one in row["warnings"] if one["code"] == "W303"])) for row in rows] == [
        (True, 2)
    ]


def test_strictly_a_command_of_another_project_is_fine_once_the_catalogue_names_it(hotel: Path, saga: Saga) -> None:
    text = STRAY.replace("resrve", "reserve").replace("compensate: {call: mail.send}", "compensate: {call: hotel.wake}")
    elsewhere = "  - {step: tell, call: mail.send, with: {}, compensate: none}\n"
    (hotel / "definitions" / "stay.yaml").write_text(text + elsewhere, encoding="utf-8")
    assert saga("validate", "--strict").code == 1
    named: dict[str, object] = {"mail.send": {}, "hotel.reserve": {}, "hotel.wake": {}}
    (hotel / "definitions" / "participants.json").write_text(json.dumps(named), encoding="utf-8")
    assert saga("validate", "--strict").code == 0


def test_strictly_any_warning_counts(hotel: Path, saga: Saga) -> None:
    late = "saga: late\ntimeout: 1m\nsla: 2m\nsteps: [{step: a, call: hotel.wake, compensate: none}]\n"
    (hotel / "late.yaml").write_text(late, encoding="utf-8")
    done = saga("validate", "--strict", "late.yaml")
    assert done.code == 1
    assert "W310" in done.out
    (hotel / "late.yaml").write_text(late.replace("2m", "30s"), encoding="utf-8")
    assert saga("validate", "--strict", "late.yaml").code == 0


def test_strictly_a_file_outside_the_project_is_held_against_its_handlers_too(hotel: Path, saga: Saga) -> None:
    draft = hotel / "drafts" / "stay.yaml"
    draft.parent.mkdir()
    draft.write_text(STRAY.replace("{id: a}", "{ide: a}"), encoding="utf-8")
    done = saga("validate", "--strict", "drafts/stay.yaml")
    assert done.code == 1
    # The project's own version 1, whose place it takes, calls hotel.reserve.
    assert "drafts/stay.yaml:5:27: W303 no handler serves hotel.resrve; expected a handler" in done.out
    assert 'did you mean "hotel.reserve"?' in done.out
    draft.write_text(STRAY.replace("resrve", "reserve").replace("{id: a}", "{ide: a}"), encoding="utf-8")
    assert 'W304 hotel.reserve takes no "ide"' in saga("validate", "--strict", "drafts/stay.yaml").out
    # A draft of its own may be of a flow whose workers its own catalogue names.
    (draft.parent / "participants.json").write_text('{"mail.send": {}}', encoding="utf-8")
    assert "mail.send; expected" not in saga("validate", "--strict", "drafts/stay.yaml").out


def test_strictly_what_comes_from_stdin_is_held_against_the_handlers_too(
    hotel: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(STRAY.encode())))
    done = saga("validate", "--strict", "-")
    assert done.code == 1
    assert "stdin:5:27: W303 no handler serves hotel.resrve" in done.out


BROKEN = """
saga: stay
version: 1
steps:
  - {step: reserve, call: hotel.reserve, with: {ide: a}}
  - {step: wake, call: hotel.wake, wiht: {}, compensate: {call: mail.send}}
  - {step: again, call: hotel.reserve, with: {id: 7}, compensate: none}
"""


def test_warnings_of_what_could_be_read_are_told_beside_the_errors(hotel: Path, saga: Saga) -> None:
    (hotel / "definitions" / "stay.yaml").write_text(BROKEN, encoding="utf-8")
    done = saga("validate", "--strict")
    assert done.code == 2
    told = [line.removeprefix("definitions/stay.yaml:").split(" ")[:2] for line in done.out.splitlines()]
    assert [code for _, code in told] == ["E208", "E111", "W304", "W304", "W304"]
    assert [place.split(":")[0] for place, _ in told] == ["5", "6", "5", "5", "7"]
    (row,) = json.loads(saga("validate", "--strict", "-o", "json").out)
    assert (row["valid"], len(row["problems"]), len(row["warnings"])) == (False, 2, 3)


def test_strictly_handlers_that_do_not_import_are_an_error_with_their_place(hotel: Path, saga: Saga) -> None:
    (hotel / "participants" / "wrong.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    done = saga("validate", "--strict")
    assert done.code == 2
    assert "participants/wrong.py:1" in done.err


def test_an_export_goes_where_it_is_asked_to(hotel: Path, saga: Saga) -> None:
    assert saga("participants", "export", "--output", "deep/down/commands.json").code == 0
    printed = saga("participants", "export", "--output", "-")
    assert printed.out == (hotel / "deep" / "down" / "commands.json").read_text()
    assert [path.name for path in (hotel / "deep" / "down").iterdir()] == ["commands.json"]
    assert not (hotel / "definitions" / "participants.json").exists()


def test_an_export_keeps_what_is_known_of_participants_elsewhere_and_nothing_else(hotel: Path, saga: Saga) -> None:
    path = hotel / "definitions" / "participants.json"
    path.write_text(json.dumps({"parcel.reserve": {"fenced": True}, "hotel.burn": {}}), encoding="utf-8")
    done = saga("participants", "export")
    assert (done.code, done.err) == (0, "definitions/participants.json: 3 commands\n")
    assert sorted(json.loads(path.read_text())) == ["hotel.reserve", "hotel.wake", "parcel.reserve"]
    assert saga("participants", "export", "--output", "-").out == path.read_text()
    path.write_text("[", encoding="utf-8")
    assert saga("participants", "export").code == 0
    assert sorted(json.loads(path.read_text())) == ["hotel.reserve", "hotel.wake"]


def test_an_export_that_cannot_be_written_says_where(hotel: Path, saga: Saga) -> None:
    (hotel / "file").write_text("", encoding="utf-8")
    done = saga("participants", "export", "--output", "file/commands.json")
    assert (done.code, done.out) == (2, "")
    assert "--output file/commands.json: cannot be written" in done.err


def test_a_project_without_handlers_says_where_they_go(project: Path, saga: Saga) -> None:
    done = saga("participants", "list")
    assert (done.code, done.out) == (2, "")
    assert "has no handlers; write them in participants/ and compensations/" in done.err


def test_a_catalogue_that_is_broken_is_named(hotel: Path, saga: Saga) -> None:
    (hotel / "definitions" / "participants.json").write_text("[", encoding="utf-8")
    done = saga("validate")
    assert done.code == 2
    assert "participants.json: not JSON" in done.err


def test_strictly_the_command_of_another_file_is_not_suggested_also_when_one_file_is_named(
    hotel: Path, saga: Saga
) -> None:
    other = STRAY.replace("saga: stay", "saga: trip").replace("resrve", "reserve")
    (hotel / "definitions" / "trip.yaml").write_text(other, encoding="utf-8")
    (hotel / "definitions" / "stay.yaml").write_text(STRAY, encoding="utf-8")
    done = saga("validate", "--strict", "definitions/stay.yaml")
    assert done.code == 1
    assert "no handler serves hotel.resrve" in done.out
    assert "did you mean" not in done.out


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_a_folder_that_cannot_be_is_a_file_that_cannot_be_read(
    hotel: Path, saga: Saga, options: tuple[str, ...]
) -> None:
    done = saga("validate", "x" * 300 + "/stay.yaml", *options)
    assert done.code == 2
    assert "the file cannot be read" in done.out
    assert "SAGA_DEBUG" not in done.err


def test_strictly_a_version_that_is_registered_with_other_content_is_a_warning(hotel: Path, saga: Saga) -> None:
    path = hotel / "definitions" / "stay.yaml"
    path.write_text(DEFINITION.replace(".rom", ".room"), encoding="utf-8")
    assert saga("validate", "--strict").code == 0
    assert not (hotel / ".saga").exists()
    assert saga("start", "stay").code == 0
    assert saga("validate", "--strict").code == 0
    path.write_text(DEFINITION.replace(".rom", ".room").replace("{id: a}", "{id: b}"), encoding="utf-8")
    assert saga("validate").code == 0
    done = saga("validate", "--strict")
    assert (done.code, done.err) == (1, "")
    told = "saga stay version 1 was changed after it was registered"
    assert f"definitions/stay.yaml:3:10: W311 {told}; raise its version, or restore it; " in done.out
    assert told in saga("start", "stay").err
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1", "version: 2"), encoding="utf-8")
    assert saga("validate", "--strict").code == 0


def test_strictly_a_store_that_cannot_be_read_is_said_and_fails_no_definition(hotel: Path, saga: Saga) -> None:
    (hotel / "definitions" / "stay.yaml").write_text(DEFINITION.replace(".rom", ".room"), encoding="utf-8")
    (hotel / "config.yaml").write_text("saga_engine: 1\ndatabase: sqlite:///none.db\n", encoding="utf-8")
    (hotel / "none.db").write_text("this is no database, and long enough to be taken for one" * 20, encoding="utf-8")
    done = saga("validate", "--strict")
    assert done.code == 0
    assert done.err.startswith("not compared with the registered definitions: ")
