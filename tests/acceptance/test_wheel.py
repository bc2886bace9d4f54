"""What an installation brings: only `saga_engine` and its metadata, from a wheel and from an editable install alike."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

from tests.acceptance.projects import REPOSITORY

ROOT_NAMES = ("benchmarks", "cli", "compensations", "definitions", "participants", "store", "tests")


def test_the_wheel_holds_the_engine_and_its_metadata_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"saga_engine", f"saga_engine-{version('saga-engine')}.dist-info"}


def test_the_wheel_holds_every_file_of_the_engine_that_is_in_the_repository(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "saga_engine"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    with ZipFile(wheel) as archive:
        assert set(listed) <= set(archive.namelist())


def test_the_metadata_names_licence_readme_command_and_extras(wheel: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with ZipFile(wheel) as archive:
        (info,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(f"{info}/METADATA").decode()
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    assert f"Version: {project['version']}\n" in metadata
    assert "License-Expression: Apache-2.0\n" in metadata
    assert "saga = saga_engine.cli:main" in entry_points
    for extra in project["optional-dependencies"]:
        assert f"Provides-Extra: {extra}\n" in metadata


def test_the_installed_package_runs_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "from saga_engine import cli; print(cli.__file__); sys.exit(cli.main(['--help']))"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(tmp_path))


def test_the_editable_install_of_this_environment_leaks_no_folder_of_the_repository(tmp_path: Path) -> None:
    code = (
        "import json, sys; from importlib.util import find_spec\n"
        "print(json.dumps({name: bool(find_spec(name)) for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, "saga_engine", *ROOT_NAMES],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout) == {"saga_engine": True, **dict.fromkeys(ROOT_NAMES, False)}


def test_the_version_stands_in_one_place_only() -> None:
    declared = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert version("saga-engine") == declared
    code = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "saga_engine").rglob("*.py")]
    assert not any(f'"{declared}"' in text for text in code)
