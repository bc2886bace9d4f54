"""`saga setup`: databases and broker in one go, said once, and nothing new the second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.acceptance.projects import REPOSITORY, Project
from tests.databases import NewDatabase


@pytest.mark.timeout(300)
def test_a_project_is_set_up_once_and_told_so(tmp_path: Path, postgres_database: NewDatabase) -> None:
    there = make_url(postgres_database())
    absent = there.set(database=f"{there.database}_engine").render_as_string(hide_password=False)
    project = Project(tmp_path / "project", REPOSITORY, {"engine": absent})
    first = project.saga("setup")
    assert first.returncode == 0, first.stderr
    assert "engine: made the database" in first.stdout
    assert "engine: applied 0001_event_streams" in first.stdout
    assert "nats: made SAGA_COMMANDS, SAGA_REPLIES, SAGA_EVENTS, SAGA_DEAD" in first.stdout
    second = json.loads(project.saga("setup", "-o", "json").stdout)
    assert {(tuple(one["applied"]), one["made"]) for one in second["databases"]} == {((), False)}
    assert (second["nats"]["made"], len(second["nats"]["there"])) == ([], 4)
    project.close()
