"""A small share of what `make simulate` runs, and that what it rests on is true: determinism, and that it objects."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.calls import COURSES, REJECTED, Course, run_call
from tests.simulation.faults import Strike
from tests.simulation.minimum import PER_THOUSAND, missing
from tests.simulation.run import run_seed
from tests.simulation.workloads import REFERENCE

_ROOT = Path(__file__).parents[2]
_SEEDS = 30
_TRACES = "from tests.simulation.run import run_seed\nprint([run_seed(seed).trace for seed in (3, 14, 16, 31)])"


def test_every_invariant_holds_in_some_schedules() -> None:
    counts = Counter[str]()
    for seed in range(1, _SEEDS + 1):
        result = run_seed(seed)
        assert not result.violations, f"make simulate SEEDS=1 FROM={seed}: {result.violations[0]}"
        counts += result.counts
    assert not missing(counts, _SEEDS // 3)


@pytest.mark.parametrize("strike", [Strike.KILL, Strike.KILL_AFTER, Strike.UNKNOWN_APPLIED, Strike.VANISH])
@pytest.mark.parametrize("course", [Course("order", False), Course("transfer", True)], ids=str)
def test_every_invariant_holds_when_a_call_fails(course: Course, strike: Strike) -> None:
    for nth in (1, 4, 9, 15):
        result, struck = run_call(course, strike, nth)
        assert not result.violations, f"{strike} at {struck}: {result.violations[0]}"


def test_the_same_seed_gives_the_same_trace_in_any_process() -> None:
    traces = [_traces(hash_seed) for hash_seed in ("0", "1", "random")]

    assert traces[0] == traces[1] == traces[2]


def test_another_seed_gives_another_trace() -> None:
    assert run_seed(3).trace != run_seed(16).trace


def test_each_reference_saga_has_a_course_that_succeeds_and_one_that_is_compensated() -> None:
    assert set(REJECTED) == set(REFERENCE)
    assert {course.saga for course in COURSES} == set(REFERENCE)
    for saga in ("single", "pivot"):
        ended = [run_call(Course(saga, compensated), Strike.KILL, 0)[0].counts for compensated in (False, True)]
        assert [counts["completed"] for counts in ended] == [1, 0]
        assert [counts["compensated"] for counts in ended] == [0, 1]


def test_a_pass_without_the_faults_is_told_from_a_pass() -> None:
    assert len(missing(Counter({"sagas": 10_000}), 1_000)) == len(PER_THOUSAND) - 1


def _traces(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run([sys.executable, "-c", _TRACES], env=environment, capture_output=True, text=True, check=True)
    return done.stdout
