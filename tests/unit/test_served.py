"""What `saga run` says at its start of commands that nobody is known to serve."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from saga_engine.bootstrap.definitions import load_project
from saga_engine.bootstrap.served import commands_served, tell_unserved
from saga_engine.participant import Context, Participant
from saga_engine.participant.registry import merge

STAY = """\
saga: stay
steps:
  - {step: book, call: hotel.resrve, compensate: {call: hotel.release}}
  - {step: mail, kind: retriable, call: mail.send}
"""


TRIP = """\
saga: trip
steps:
  - {step: book, call: hotel.reserve, compensate: {call: hotel.unreserve}}
  - {step: leave, kind: retriable, call: hotel.release}
"""


def said(root: Path, *, elsewhere: frozenset[str] = frozenset()) -> list[EventDict]:
    hotel = Participant("hotel")

    @hotel.command
    def reserve(ctx: Context) -> None: ...

    @hotel.command
    def release(ctx: Context) -> None: ...

    with capture_logs() as logs:
        tell_unserved(load_project(root), commands_served(merge([hotel]), elsewhere))
    return logs


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "stay.yaml").write_text(STAY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_command_without_a_handler_is_told_with_its_place_and_what_to_write(root: Path) -> None:
    misspelt, missing = said(root)
    assert misspelt["event"] == "no handler serves hotel.resrve: the sagas that ask for it will wait"
    assert misspelt["where"] == "definitions/stay.yaml:3:24"
    assert misspelt["next"].startswith('did you mean "hotel.reserve"? Else write a handler in participants/ or ')
    assert (missing["where"], missing["next"][:16]) == ("definitions/stay.yaml:4:41", "write a handler ")
    assert {entry["log_level"] for entry in (misspelt, missing)} == {"warning"}


def test_what_the_catalogue_names_as_served_elsewhere_is_not_told(root: Path) -> None:
    (told,) = said(root, elsewhere=frozenset({"mail.send"}))
    assert "hotel.resrve" in told["event"]


def test_a_handler_that_a_definition_calls_is_not_suggested_for_one_that_is_missing(root: Path) -> None:
    (root / "definitions" / "stay.yaml").unlink()
    (root / "definitions" / "trip.yaml").write_text(TRIP)
    (missing,) = said(root)
    assert "hotel.unreserve" in missing["event"]
    assert missing["next"].startswith("write a handler in ")


def test_a_handler_that_another_definition_calls_is_not_suggested_either(root: Path) -> None:
    (root / "definitions" / "trip.yaml").write_text(TRIP)
    assert not [entry for entry in said(root) if "did you mean" in entry["next"]]
