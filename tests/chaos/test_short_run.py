"""A chaos run of seconds: a few kills, a wiped broker, a network fault; all checkers find nothing to object to."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SECONDS = 12


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_in_a_run_of_seconds() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--minutes", str(SECONDS / 60), "--short", "--seed", "11"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    last = run.stdout.splitlines()[-1]
    told = re.fullmatch(r"kills=(\d+) wipes=(\d+) sagas=(\d+) lost=0 doubled=0", last)
    assert told is not None, last
    kills, wipes, sagas = map(int, told.groups())
    assert kills >= 3
    assert wipes >= 1
    assert sagas >= 20
