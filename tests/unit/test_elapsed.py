"""How long something takes, as people read it."""

from __future__ import annotations

import pytest

from saga_engine.elapsed import elapsed, exactly_elapsed

MS, S = 1_000, 1_000_000
MIN, H, D = 60 * S, 3_600 * S, 86_400 * S


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (-5 * S, "0.000 s"),
        (400, "0.000 s"),
        (4 * MS, "0.004 s"),
        (999 * MS, "0.999 s"),
        (999_600, "1 s"),
        (1_540 * MS, "1.5 s"),
        (59_940 * MS, "59.9 s"),
        (59_960 * MS, "1 min"),
        (125 * S, "2 min 5 s"),
        (3 * H + 20 * MIN + 59 * S, "3 h 20 min"),
        (H - 1, "1 h"),
        (4 * D + 7 * H, "4 d 7 h"),
        (36_500 * D, "36,500 d"),
    ],
)
def test_a_time_is_told_in_seconds_and_from_a_minute_on_in_its_two_largest_units(microseconds: int, shown: str) -> None:
    assert elapsed(microseconds) == shown


def test_times_that_lie_close_together_have_their_milliseconds_up_to_a_minute() -> None:
    assert [exactly_elapsed(each) for each in (0, 1_004 * MS, 59_900 * MS)] == ["0.000 s", "1.004 s", "59.900 s"]
    assert exactly_elapsed(59_950 * MS) == elapsed(59_950 * MS) == "1 min"
