"""`saga init` from the built wheel: what it makes is sound, and does what its README says, where no checkout is."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.acceptance.projects import PATIENCE
from tests.acceptance.walkthrough import Walkthrough
from tests.unit.docs.markdown import blocks

SLOW_S = 300
"""A page is a dozen processes one after the other; its single commands have their own, shorter patience."""


@pytest.fixture(scope="module")
def tools(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new virtual environment in which the wheel is installed.

    What it depends on is read from this environment, whose editable install is not seen: no .pth in it is obeyed.
    """
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), *install]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture
def reader(tools: Path, tmp_path: Path) -> Iterator[Walkthrough]:
    """A reader of the README that `saga init` has written in an empty folder."""
    made = Walkthrough(tmp_path / "trips", tools)
    made.environment.pop("PYTHONPATH", None)
    done = ran(made.environment, tmp_path, "saga", "init", "trips")
    assert "saga run" in done
    yield made
    made.close()


def ran(environment: Mapping[str, str], folder: Path, *command: str) -> str:
    """What a command that succeeds prints."""
    # Found on the reader's path, not on ours.
    shell = ["bash", "-c", '"$@"', "bash", *command]
    done = subprocess.run(
        shell, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_engine_is_the_one_of_the_wheel(tools: Path, reader: Walkthrough) -> None:
    code = "import saga_engine; print(saga_engine.__file__)"
    assert ran(reader.environment, reader.folder, "python", "-c", code).startswith(str(tools.parent))


@pytest.mark.timeout(SLOW_S)
def test_the_new_project_does_what_its_readme_says(reader: Walkthrough) -> None:
    page = reader.folder / "README.md"
    assert page.read_text(encoding="utf-8").startswith("# trips\n")
    reader.follow([block for block in blocks(page) if block.language == "sh"])
    assert len(reader.done) == 8
    shown = json.loads(ran(reader.environment, reader.folder, "saga", "show", "b-2", "-o", "json"))
    assert (shown["status"], shown["failure"]["code"]) == ("compensated", "card_declined")
    with sqlite3.connect(reader.folder / ".saga" / "hotel.db") as hotel:
        found = hotel.execute("SELECT booking_id, status FROM bookings ORDER BY booking_id").fetchall()
    hotel.close()
    assert found == [("b-1", "held"), ("b-2", "released")]


@pytest.mark.timeout(SLOW_S)
def test_ruff_and_mypy_find_nothing_in_the_new_project(reader: Walkthrough) -> None:
    for command in (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", ".")):
        ran(reader.environment, reader.folder, "python", "-m", *command)
