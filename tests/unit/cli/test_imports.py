"""What a command imports, which is most of the time that it takes: nothing that it does not need.

Never held by a clock: by what a process of its own has imported when the command has ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from saga_engine.cli import main
from saga_engine.core.state import Status
from tests.unit.cli.trips import Trips, write_trip

DEFINITION = """
saga: greet
version: 1
key: ${{ input.name }}
steps:
  - step: hello
    call: greeter.greet
    with: {name: "${{ input.name }}"}
    compensate: none
"""

SERVICES = (
    "alembic",
    "nats",
    "opentelemetry",
    "prometheus_client",
    "saga_engine.orchestrator.service",
    "saga_engine.participant",
    "saga_engine.verify",
    "sqlalchemy.orm",
)
"""What serves, sets up or proves. Nobody needs it who starts a saga or looks at one."""

OTHER_DATABASES = ("psycopg", "sqlalchemy.dialects.postgresql", "sqlalchemy_cockroachdb")
"""What a project on a SQLite file never needs."""

# structlog imports all of rich; a table needs only what tells the width of a character.
LOGGING = ("pygments", "rich.console", "structlog")
LOADER = ("saga_engine.definition.loader", "saga_engine.definition.scan", "saga_engine.definition.checks")
ACTING = ("saga_engine.core.decider", "saga_engine.orchestrator.starting", "saga_engine.orchestrator.transact")
LANGUAGE = ("saga_engine.definition.cel_nodes", "saga_engine.definition.expressions")
LIBRARIES = ("cel", "jsonschema", "pydantic_settings")

LOOKING = (*SERVICES, *OTHER_DATABASES, *LOGGING, *LOADER, *ACTING, *LIBRARIES)
HELP = (*LOOKING, *LANGUAGE, "asyncio", "pydantic", "rich", "ruamel", "saga_engine.definition", "sqlalchemy")


def imported(args: Sequence[str], unwanted: Sequence[str], folder: Path) -> list[str]:
    """Which of the unwanted modules a successful `saga` has imported in the end, in a process of its own."""
    code = (
        "import sys, json; from saga_engine.cli import main; code = main(sys.argv[2:])\n"
        "print(json.dumps([name for name in json.loads(sys.argv[1]) if name in sys.modules]), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", code, json.dumps(unwanted), *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    found = json.loads(done.stderr.splitlines()[-1])
    assert isinstance(found, list)
    return found


@pytest.fixture
def greeting(project: Path) -> Path:
    """A project with one definition and one saga of it."""
    (project / "definitions").mkdir()
    (project / "definitions" / "greet.yaml").write_text(DEFINITION, encoding="utf-8")
    assert main(["start", "greet", "--input", '{"name": "ann"}'], project=project) == 0
    return project


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["completion", "fish"]])
def test_help_version_and_completion_import_nothing_heavy(args: list[str], tmp_path: Path) -> None:
    assert imported(args, HELP, tmp_path) == []


def test_list_imports_no_language_no_logs_and_nothing_that_acts(greeting: Path) -> None:
    assert imported(["list"], [*LOOKING, *LANGUAGE], greeting) == []


@pytest.mark.parametrize("args", [["show", "ann"], ["history", "ann"]])
def test_show_and_history_import_no_loader_no_logs_and_nothing_that_acts(args: list[str], greeting: Path) -> None:
    assert imported(args, LOOKING, greeting) == []


def test_watching_in_a_pipe_imports_no_loader_no_logs_and_nothing_that_acts_or_draws(project: Path) -> None:
    write_trip(project)
    Trips(project).bring("t-1", Status.COMPLETED)
    assert imported(["watch", "t-1"], [*LOOKING, "rich.live", "rich.text"], project) == []


def test_a_start_imports_no_other_database_no_logs_and_no_nats_where_no_broker_runs(greeting: Path) -> None:
    unwanted = [*SERVICES, *OTHER_DATABASES, *LOGGING, *LIBRARIES]
    assert imported(["start", "greet", "--input", '{"name": "bob"}'], unwanted, greeting) == []


def test_a_verb_imports_no_other_database_no_logs_and_no_loader(greeting: Path) -> None:
    unwanted = [*SERVICES, *OTHER_DATABASES, *LOGGING, *LOADER, *LIBRARIES]
    assert imported(["cancel", "ann", "--why", "a test"], unwanted, greeting) == []


def test_validate_imports_no_database_and_no_settings(greeting: Path) -> None:
    unwanted = [*SERVICES, *OTHER_DATABASES, *LOGGING, *ACTING, *LIBRARIES, "pydantic", "sqlalchemy", "asyncio"]
    assert imported(["validate"], unwanted, greeting) == []


def test_a_variable_of_ours_that_is_a_setting_is_read(greeting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGA_DATABASE", "sqlite:///.saga/other.db")
    assert imported(["config", "show"], ["pydantic_settings"], greeting) == ["pydantic_settings"]
