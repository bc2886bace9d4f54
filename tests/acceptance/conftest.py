"""Fixtures of the acceptance tests: projects on the embedded default and on PostgreSQL, all real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.projects import LEDGER, REPOSITORY, Project
from tests.databases import NewDatabase
from tests.nats_fixtures import own_nats_server as own_nats_server

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session", autouse=True)
def sigint_as_in_the_foreground() -> Iterator[None]:
    """A suite that a script starts in the background has SIGINT ignored, and so would have all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[MakeProject]:
    """Call it for a project in a new folder, `Project`'s arguments after the folder; all are ended after the test."""
    made: list[Project] = []

    def make(*arguments: object, **settings: str) -> Project:
        folder = tmp_path / f"project-{len(made)}"
        folder.mkdir()
        made.append(Project(folder, *arguments, **settings))  # type: ignore[arg-type] # passed on as they came
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def postgres_databases(postgres_database: NewDatabase) -> dict[str, str]:
    """New, empty databases for the engine and both participants."""
    return {name: postgres_database() for name in ("engine", "order", "payment")}


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest, project: MakeProject) -> Project:
    """The ledger project, embedded and on PostgreSQL."""
    if request.param == "sqlite":
        return project(LEDGER)
    databases: dict[str, str] = request.getfixturevalue("postgres_databases")
    made = project(LEDGER, databases)
    upgraded = made.saga("db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    return made


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a network: the build backend is among the development packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY)]
    done = subprocess.run([sys.executable, "-m", "pip", *build], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built
