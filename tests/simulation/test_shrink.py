"""From a failing schedule to what a person reads, with a bug planted for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from saga_engine.participant import inbox
from tests.simulation.report import report
from tests.simulation.run import Result, run_seed
from tests.simulation.shrink import shrink


@contextmanager
def every_effect_twice() -> Iterator[None]:
    """The participant forgets what it has done: a command that comes again is done again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "read", lambda *_: {})
        patch.setattr(inbox, "add", lambda *_: True)
        yield


@pytest.fixture(scope="module")
def failing() -> Result:
    results = (run_seed(seed, bug=every_effect_twice) for seed in range(1, 40))
    return next(result for result in results if any(violation.startswith("C1") for violation in result.violations))


def test_a_bug_is_found_and_shrunk_to_few_faults(failing: Result) -> None:
    small = shrink(failing, lambda allowed: run_seed(failing.seed, bug=every_effect_twice, allowed=allowed), 60)

    # Done twice, or undone twice: the shortest schedule may show either.
    assert any(violation.startswith(("C1", "C3")) for violation in small.violations)
    assert 0 < len(small.hits) <= max(1, len(failing.hits) // 2)


def test_without_its_bug_the_seed_holds(failing: Result) -> None:
    assert not run_seed(failing.seed).violations


def test_a_report_shows_what_broke_what_it_took_and_how_to_see_it_again(failing: Result) -> None:
    shown = report(failing, len(failing.hits)).splitlines()

    assert shown[0].startswith(f"seed {failing.seed} ")
    assert any(line.strip().startswith("C1 saga ") for line in shown)
    assert shown[-1] == f"run it again: make simulate SEEDS=1 FROM={failing.seed}"
    assert any(" effect " in line for line in shown)
    assert len(shown) < 90
