"""What the source distribution holds: every file of the repository that a packager builds, reads or tests, no more."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from tests.acceptance.projects import REPOSITORY

ONLY_IN_THE_REPOSITORY = (".ci/", ".github/", ".pre-commit-config.yaml")
ADDED_BY_THE_BUILD = {"PKG-INFO", ".gitignore"}


def test_the_sdist_holds_what_is_in_the_repository_but_its_forges_files_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = tmp_path.glob("*.tar.gz")
    top = f"saga_engine-{version('saga-engine')}/"
    with tarfile.open(built) as archive:
        held = {member.name.removeprefix(top) for member in archive.getmembers() if member.isfile()}
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    expected = {path for path in listed if path and not path.startswith(ONLY_IN_THE_REPOSITORY)}
    assert held - ADDED_BY_THE_BUILD == expected - ADDED_BY_THE_BUILD
