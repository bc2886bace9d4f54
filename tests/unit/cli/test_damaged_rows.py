"""A row that somebody has changed by hand: whoever looks at the saga is told so, and what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Saga
from tests.unit.cli.trips import Trips, write_trip


@pytest.fixture
def damaged(project: Path) -> Path:
    """One saga of two has a word where its version was."""
    write_trip(project)
    for key in ("t-1", "t-2"):
        Trips(project).start(key)
    (file,) = project.rglob("*.db")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE saga_streams SET version = 'two' WHERE key = 't-1'")
    return project


@pytest.mark.parametrize("command", [("history",), ("show",), ("plan", "--if", "cancel"), ("graph",)], ids=" ".join)
def test_a_word_in_place_of_a_version_is_told(damaged: Path, saga: Saga, command: tuple[str, ...]) -> None:
    done = saga(*command, "t-1")
    assert (done.code, done.out) == (1, "")
    assert "its row says version 'two', expected a number" in done.err
    assert "saga audit" in done.err
    assert saga(*command, "t-2").code == 0


def test_an_audit_names_it_and_judges_the_others(damaged: Path, saga: Saga) -> None:
    done = saga("audit")
    assert done.code == 1
    assert "version two, as its row says" in done.out
    assert "Traceback" not in done.err
