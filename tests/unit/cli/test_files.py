"""A definition that is named as no file is: the command says which file of the project may be meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Saga

BOOK = """
saga: book_trip
version: {version}
steps:
  - {{step: book, call: hotel.book, compensate: none}}
"""


@pytest.fixture
def trips(project: Path) -> Path:
    """A project that defines `book_trip`, in a file of another name."""
    (project / "definitions").mkdir()
    (project / "definitions" / "trip.yaml").write_text(BOOK.format(version=1), encoding="utf-8")
    return project


@pytest.mark.parametrize("given", ["book_trip", "trip", "trip.yaml"])
@pytest.mark.parametrize(("verb", "code"), [("graph", 3), ("verify", 2), ("validate", 2)])
def test_a_name_where_a_file_is_wanted_is_answered_with_the_command_for_that_file(
    trips: Path, saga: Saga, verb: str, code: int, given: str
) -> None:
    done = saga(verb, given)
    # What ends in .yaml is no key.
    assert done.code == (2 if given.endswith(".yaml") else code)
    meant = f"the project has a definition of that name: saga {verb} definitions/trip.yaml"
    assert (done.out + done.err).splitlines()[-1].endswith(meant)
    assert saga(verb, "definitions/trip.yaml").code == 0


def test_the_files_of_all_versions_are_named_as_they_are_reached_from_here(
    trips: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trips / "definitions" / "trip_2.yaml").write_text(BOOK.format(version=2), encoding="utf-8")
    monkeypatch.chdir(trips / "definitions")
    assert saga("verify", "book_trip").err.endswith(": saga verify trip.yaml or saga verify trip_2.yaml\n")


def test_a_name_that_means_nothing_here_is_answered_as_ever(
    trips: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trips / "definitions" / "locked.yaml").mkdir()
    assert "the file cannot be read" in saga("verify", "nosuch").err
    (row,) = json.loads(saga("validate", "nosuch", "-o", "json").out)
    assert row["problems"][0]["suggestion"] is None
    (trips / "config.yaml").unlink()
    assert "the file cannot be read" in saga("verify", "book_trip").err


def test_a_key_that_no_saga_has_is_answered_with_the_definition_of_that_name(trips: Path, saga: Saga) -> None:
    assert saga("start", "book_trip", "--key", "t-1").code == 0
    done = saga("graph", "book_trip")
    assert done.code == 3
    assert "no saga with id or key 'book_trip'; it is the name of sagas: `saga list --saga book_trip` shows" in done.err
    assert "; the project has a definition of that name: saga graph definitions/trip.yaml" in done.err
    assert saga("graph", "t-1").code == 0


def test_a_sagas_name_where_a_key_is_wanted_is_answered_with_the_command_that_lists_its_sagas(
    trips: Path, saga: Saga
) -> None:
    assert saga("start", "book_trip", "--key", "t-1").code == 0
    for verb in ("show", "history"):
        done = saga(verb, "book_trip")
        assert (done.code, "`saga list --saga book_trip` shows their keys" in done.err) == (3, True)
    assert saga("show", "nosuch").err == "Error: no saga with id or key 'nosuch'\n"


@pytest.mark.parametrize(("verb", "code"), [("graph", 3), ("verify", 2), ("validate", 2)])
def test_a_name_that_no_file_can_have_is_answered_as_one_that_no_file_has(
    trips: Path, saga: Saga, verb: str, code: int
) -> None:
    assert saga("start", "book_trip", "--key", "t-1").code == 0
    done = saga(verb, "x" * 300)
    assert done.code == code
    assert "SAGA_DEBUG" not in done.err


@pytest.mark.parametrize("options", [(), ("--strict",)])
def test_a_link_to_itself_is_a_file_that_cannot_be_read(trips: Path, saga: Saga, options: tuple[str, ...]) -> None:
    link = trips / "definitions" / "link.yaml"
    link.symlink_to(link)
    done = saga("validate", str(link), *options)
    assert done.code == 2
    assert "the file cannot be read" in done.out + done.err


@pytest.mark.parametrize("given", ["definitions/trip.yaml", "trip.yaml", "book_trip"])
def test_a_definition_where_a_started_saga_is_wanted_is_answered_with_what_looks_at_definitions(
    trips: Path, saga: Saga, given: str
) -> None:
    meant = (
        "plan wants the id or key of a saga that was started; of a definition, `saga verify definitions/trip.yaml` "
        "explores every failure, and `saga graph definitions/trip.yaml` draws the way back\n"
    )
    done = saga("plan", given, "--if", "fail@book")
    assert (done.code, done.err) == (3, f"Error: no saga was ever started here; {meant}")
    assert saga("start", "book_trip", "--key", "t-1").code == 0
    done = saga("plan", given, "--if", "fail@book")
    assert done.code == 3
    assert done.err.startswith(f"Error: no saga with id or key '{given}'; ")
    assert done.err.endswith(meant)
    assert saga("plan", "t-1", "--if", "fail@book").code == 0
