"""Which handlers have a database, as `saga verify` and `saga validate` find it out in a user's project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Saga

DEFINITION = """\
saga: buy
steps:
  - {step: reserve, call: shelf.reserve, compensate: {call: shelf.release}}
  - {step: pay, kind: pivot, call: till.pay}
"""
HANDLERS = """\
from saga_engine.participant import Context, Participant

till = Participant("till")


@till.command
async def pay(ctx: Context) -> None: ...


@till.command
def count(ctx: Context) -> None: ...
"""
FENCED = HANDLERS.replace("async def", "def")


@pytest.fixture
def shop(project: Path, forgotten: None) -> Path:
    """A project whose pivot has no database; `shelf` is served elsewhere."""
    for folder in ("participants", "definitions"):
        (project / folder).mkdir()
    (project / "participants" / "__init__.py").write_text("", encoding="utf-8")
    (project / "participants" / "till.py").write_text(HANDLERS, encoding="utf-8")
    (project / "definitions" / "buy.yaml").write_text(DEFINITION, encoding="utf-8")
    return project


def test_a_proof_takes_from_the_projects_handlers_which_have_no_database(shop: Path, saga: Saga) -> None:
    done = saga("verify", "definitions/buy.yaml")
    assert done.code == 1
    assert "buy.yaml: broken: every saga ends" in done.out
    assert "hint: pay is a pivot without an inbox" in done.out
    assert "  - till.pay: no inbox" in done.out
    assert (
        "  - which handlers have a database: as the project's own are written (an `async def` has none)\n" in done.out
    )
    assert "  - shelf.reserve: not described, so taken to have one; --unfenced PARTICIPANT supposes" in done.out


def test_a_handler_with_a_database_is_proved_and_unfenced_adds_to_what_the_handlers_say(shop: Path, saga: Saga) -> None:
    (shop / "participants" / "till.py").write_text(FENCED, encoding="utf-8")
    assert saga("verify", "definitions/buy.yaml").code == 0
    supposed = saga("verify", "definitions/buy.yaml", "--unfenced", "till", "-o", "json")
    assert supposed.code == 1
    assert any(line.startswith("till.pay: no inbox") for line in json.loads(supposed.out)["assumed"])


def test_the_handlers_are_asked_before_a_catalogue_that_may_be_older(shop: Path, saga: Saga) -> None:
    catalogue = {"till.pay": {"fenced": True}, "shelf.reserve": {"fenced": False}, "shelf.release": {}}
    (shop / "definitions" / "participants.json").write_text(json.dumps(catalogue), encoding="utf-8")
    done = saga("verify", "definitions/buy.yaml")
    assert done.code == 1
    assert "  - shelf.reserve, till.pay: no inbox" in done.out
    assert "has none), those elsewhere as definitions/participants.json says\n" in done.out
    assert "not described" not in done.out


def test_handlers_that_do_not_import_are_said_and_leave_the_assumption(shop: Path, saga: Saga) -> None:
    (shop / "participants" / "till.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
    done = saga("verify", "definitions/buy.yaml")
    assert done.code == 0
    assert "which handlers have a database: nobody says; the project's own do not import: participants/till.py:1: " in (
        done.out
    )
    assert "  - shelf.reserve, till.pay: not described, so taken to have one" in done.out


def test_without_handlers_or_outside_the_project_it_is_said_that_nobody_describes_them(shop: Path, saga: Saga) -> None:
    (shop / "elsewhere.yaml").write_text(DEFINITION, encoding="utf-8")
    outside = saga("verify", "elsewhere.yaml")
    (shop / "participants" / "till.py").unlink()
    for done in (outside, saga("verify", "definitions/buy.yaml")):
        assert done.code == 0
        assert "  - which handlers have a database: nobody says\n" in done.out
        assert "  - shelf.reserve, till.pay: not described" in done.out


def test_a_pivot_without_a_database_is_a_warning_by_the_handlers_and_by_their_export(shop: Path, saga: Saga) -> None:
    assert "W306" not in saga("validate").out
    strict = saga("validate", "--strict")
    assert strict.code == 1
    (told,) = (line for line in strict.out.splitlines() if "W306" in line)
    assert told.startswith("definitions/buy.yaml:4:")
    assert "till.pay decides this saga and has no database" in told
    assert "expected a database for till and a plain `def` handler that uses ctx.db" in told
    assert saga("participants", "export").code == 0
    exported = saga("validate")
    assert exported.code == 0
    assert "W306 till.pay decides this saga" in exported.out


def test_a_pivot_with_a_database_is_no_warning(shop: Path, saga: Saga) -> None:
    (shop / "participants" / "till.py").write_text(FENCED, encoding="utf-8")
    assert "W306" not in saga("validate", "--strict").out
