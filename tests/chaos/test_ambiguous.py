"""Hundreds of commits whose outcome nobody tells, half of them applied, at the store and at the inbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.ambiguous import at_the_inbox, at_the_store
from tests.chaos.ambiguous_run import LANES
from tests.databases import Databases, migrated

COMMITS = 150


@pytest.mark.parametrize("lane", LANES)
def test_nothing_is_lost_or_doubled_when_the_outcome_of_half_of_all_commits_is_not_told(
    lane: str, databases: Databases, tmp_path: Path
) -> None:
    figures = at_the_store(migrated(databases.empty(lane, tmp_path)), COMMITS // 2, seed=7)
    assert figures.refused > 0, "the two writers never met"
    figures += at_the_inbox(databases.empty(lane, tmp_path), COMMITS // 2, seed=7)
    assert figures.ambiguous >= COMMITS - 1
    assert COMMITS / 3 < figures.applied < COMMITS * 2 / 3
    assert (figures.lost, figures.doubled) == (0, 0)
