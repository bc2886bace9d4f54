"""A project in a folder of its own, and the command line run in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from saga_engine.cli import main
from saga_engine.handlers import HANDLER_PACKAGES, PROJECTION_PACKAGE

PACKAGES = {*HANDLER_PACKAGES, PROJECTION_PACKAGE}


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


Saga = Callable[..., Done]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the current folder."""
    (tmp_path / "config.yaml").write_text("saga_engine: 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Whatever handlers a test imports, and their place on the import path, are forgotten afterwards."""
    path, modules = list(sys.path), _handler_modules()
    for name in modules:
        del sys.modules[name]
    yield
    for name in _handler_modules():
        del sys.modules[name]
    sys.modules.update(modules)
    sys.path[:] = path


def _handler_modules() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES}


@pytest.fixture
def saga(capsys: pytest.CaptureFixture[str]) -> Saga:
    """Runs the command line in this process, outermost handler included."""

    def run(*args: str) -> Done:
        capsys.readouterr()
        code = main(args)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
