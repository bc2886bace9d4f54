"""`saga setup`: databases and broker in one go, said once, and nothing new the second time."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.projects import REPOSITORY, Project


def test_a_project_is_set_up_once_and_told_so(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", REPOSITORY)
    first = project.saga("setup")
    assert first.returncode == 0, first.stderr
    assert "engine: applied 0001_event_streams" in first.stdout
    assert "nats: made SAGA_COMMANDS, SAGA_REPLIES, SAGA_EVENTS, SAGA_DEAD" in first.stdout
    second = json.loads(project.saga("setup", "-o", "json").stdout)
    assert {tuple(one["applied"]) for one in second["databases"]} == {()}
    assert (second["nats"]["made"], len(second["nats"]["there"])) == ([], 4)
    project.close()
