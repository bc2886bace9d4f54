"""The pytest fixtures: `pytest_plugins = ["saga_engine.testing.pytest_plugin"]` in the project's top conftest.py.

Owns their names, which project they are about, and what a failed test shows of its sagas. What they give is
`system.SagaSystem`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from saga_engine.project import find_root
from saga_engine.testing.system import SagaSystem


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beneath a test that fails: what came of its sagas, and why. An assertion shows no more than two statuses."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        systems = (value for value in item.funcargs.values() if isinstance(value, SagaSystem))
        report.sections += [("the test's sagas", course) for system in systems if (course := system.course)]
    return report


@pytest.fixture
def saga_project(request: pytest.FixtureRequest) -> Path:
    """The root of the project under test: that of the test's file. Override it for another one."""
    return find_root(request.path.parent)


@pytest.fixture
def saga_system(saga_project: Path) -> Iterator[SagaSystem]:
    """The project's sagas in memory and in virtual time; participants succeed unless the test says otherwise."""
    with SagaSystem.of_project(saga_project) as system:
        yield system


@pytest.fixture
def saga_system_with_handlers(saga_project: Path) -> Iterator[SagaSystem]:
    """The same with the project's own handlers, on databases in memory that its migrations have set up."""
    with SagaSystem.of_project(saga_project, handlers=True) as system:
        yield system
