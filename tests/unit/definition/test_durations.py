"""Durations: the notation and its way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_engine.definition.durations import LONGEST_US, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1ms", 1_000),
        ("30s", 30_000_000),
        ("15m", 900_000_000),
        ("2h", 7_200_000_000),
        ("36500d", LONGEST_US),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_in_microseconds(text: str, microseconds: int) -> None:
    assert parse_duration(text) == microseconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "1.5h", "5 s", "5S", "05s", "1h30m", "٣s", "36501d", "5us", "5s\n"]
)
def test_what_is_no_duration_has_no_value(text: str) -> None:
    assert parse_duration(text) is None


@given(st.integers(0, LONGEST_US // 1_000))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds * 1_000)) == milliseconds * 1_000


def test_a_duration_is_shown_in_the_largest_unit_that_divides_it() -> None:
    assert [format_duration(us) for us in (0, 1_000, 90_000_000, 7_200_000_000, 86_400_000_000)] == [
        *("0s", "1ms", "90s", "2h", "1d")
    ]


@pytest.mark.parametrize("microseconds", [1, -1_000, 1_500])
def test_what_the_notation_cannot_say_is_an_error(microseconds: int) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        format_duration(microseconds)
