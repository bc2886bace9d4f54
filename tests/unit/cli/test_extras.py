"""How a reader gets what is not installed: by a line that works, whatever the engine was installed from."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from saga_engine.extras import PACKAGES, Extra, install_command, install_extra
from tests.unit.cli.conftest import Saga

ROOT = Path(__file__).resolve().parents[3]
UNPUBLISHED = re.compile(r"pip install [^\n`]*?(?<![/\w.-])'?saga-engine\b")


def test_the_extras_are_those_of_the_project_with_the_same_versions() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {str(extra): list(packages) for extra, packages in PACKAGES.items()} == stated


def test_what_a_shell_would_read_as_its_own_is_quoted() -> None:
    python, *words = shlex.split(install_extra(Extra.API))
    assert (python, words) == (sys.executable, ["-m", "pip", "install", *PACKAGES[Extra.API]])
    assert install_command("a>=1,<2").endswith(" -m pip install 'a>=1,<2'")


def test_saga_api_without_its_extra_says_what_installs_it(
    project: Path, saga: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_engine.cli.commands.api.find_spec", lambda _name: None)
    done = saga("api")
    assert (done.code, done.out) == (2, "")
    assert f"starlette and uvicorn not installed; install what it needs with: {install_extra(Extra.API)}" in done.err


def test_nobody_is_told_to_install_what_no_index_has() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    files = [*pages, *ROOT.glob("saga_engine/**/*.py"), *ROOT.glob("saga_engine/scaffold/template/**/*.md")]
    found = [f"{file}: {hit[0]}" for file in files for hit in UNPUBLISHED.finditer(file.read_text(encoding="utf-8"))]
    assert len(pages) > 50
    assert found == []
    assert UNPUBLISHED.search("pip install 'saga-engine[api]'")
    assert not UNPUBLISHED.search("pip install '/path/to/saga-engine[api]'")
