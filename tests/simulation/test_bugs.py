"""Some of the seeded bugs that `make bugs` hunts: those that are found at once, one of each part of the engine."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import deciders, orchestrators, participants, stores
from tests.simulation.bugs.catalogue import CATALOGUE
from tests.simulation.bugs.hunt import hunt, objected
from tests.simulation.bugs.kept import kept
from tests.simulation.bugs.seeded import Replacement, SeededBug, seeded
from tests.simulation.run import run_seed

_QUICK = (
    participants.a_command_acknowledged_before_it_is_committed,
    stores.a_snapshot_that_loses_a_field,
    orchestrators.a_reply_acknowledged_before_it_is_committed,
    deciders.compensation_in_forward_order,
)
_SOON = 60


@pytest.mark.parametrize("bug", _QUICK, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_caught_by_what_fits_it_in_a_schedule_that_is_clean_without_it(
    bug: SeededBug,
) -> None:
    trail = hunt(bug, _SOON)

    assert trail.caught
    assert set(trail.invariants) <= bug.invariants
    assert not run_seed(trail.schedule).violations


def test_what_breaks_nothing_is_not_caught() -> None:
    @seeded("A1", "B1", "C1", "D1", "E1")
    def nothing_wrong() -> list[Replacement]:
        """Everything is as it was."""
        return []

    assert not hunt(nothing_wrong, 2).caught


def test_a_bug_is_taken_back() -> None:
    bug = deciders.compensation_in_forward_order
    seed = hunt(bug, _SOON).schedule

    assert objected(bug, seed)
    assert not run_seed(seed).violations


def test_a_bug_of_what_is_not_there_is_refused() -> None:
    @seeded("A1")
    def misspelt() -> list[Replacement]:
        """Its place was renamed."""
        return [Replacement(deciders, "no_such_name", None)]

    with pytest.raises(LookupError, match="would not be planted"), misspelt.planted():
        pass


def test_all_bugs_were_hunted_and_none_survived() -> None:
    trails = kept()

    assert set(trails) == {bug.name for bug in CATALOGUE}, "run `make bugs KEEP=1`"
    assert len(trails) >= 25
    assert [name for name, trail in trails.items() if not trail.caught] == []
