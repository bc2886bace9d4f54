"""What a W3C traceparent is, and what is passed on of one (W3C Trace Context, level 1, section 3.2)."""

from __future__ import annotations

import pytest

from saga_engine.trace_context import trace_id, valid_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
GOOD = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.mark.parametrize("text", [GOOD, f"00-{TRACE}-b7ad6b7169203331-00"])
def test_a_valid_one_is_passed_on_as_it_is(text: str) -> None:
    assert valid_traceparent(text) == text
    assert trace_id(text) == TRACE


@pytest.mark.parametrize("text", [f"cc{GOOD[2:]}", f"cc{GOOD[2:]}-what-comes-later"])
def test_of_a_later_version_the_part_that_is_known_is_passed_on(text: str) -> None:
    assert valid_traceparent(text) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        GOOD.upper(),
        f"ff{GOOD[2:]}",
        f"{GOOD}-more",
        f"{GOOD}\n",
        f" {GOOD}",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-b7ad6b7169203331-01",
        f"00-{TRACE}-b7ad6b7169203331",
        "٠" * 55,
    ],
)
def test_what_is_none_is_not_passed_on(text: str | None) -> None:
    assert valid_traceparent(text) is None
    assert trace_id(text) is None
