"""Payloads: what is refused, however quickly most of them are let through."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_engine.definition.model import Json
from saga_engine.definition.values import MAX_DEPTH, MAX_INTEGER, MAX_PAYLOAD, OutOfBoundsError, check_payload

WORDS: Final = st.sampled_from(["", "a", "é", "null", "\\u0000", "\x01", "{[", "\ud800"])
NUMBERS: Final = st.sampled_from([0, -1, MAX_INTEGER - 1, MAX_INTEGER, -MAX_INTEGER, 1.5])
VALUES: Final[st.SearchStrategy[Json]] = st.recursive(
    st.none() | st.booleans() | WORDS | NUMBERS,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(WORDS, parts, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> Json:
    value: Json = 1
    for _ in range(depth):
        value = [value]
    return value


@given(VALUES)
def test_json_within_bounds_is_a_payload(value: Json) -> None:
    check_payload({"value": value})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (MAX_INTEGER + 1, "beyond"),
        (-MAX_INTEGER - 1, "beyond"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("a\x00b", "NUL"),
        ("x" * MAX_PAYLOAD, "too large"),
        (nested(MAX_DEPTH + 1), "nested"),
    ],
    ids=["integer", "negative integer", "nan", "infinity", "nul", "large", "deep"],
)
def test_what_is_out_of_bounds_is_refused_at_any_place(value: Json, why: str) -> None:
    for placed in (value, {"a": value}, [{"b": [value]}], {"a": None, "b": value}):
        with pytest.raises(OutOfBoundsError, match=why):
            check_payload(placed)


@pytest.mark.parametrize(
    "other",
    [b"bytes", {1: "a"}, {"a": object()}, {"a": {1, 2}}],
    ids=["bytes", "a number as key", "an object", "a set"],
)
def test_what_is_no_json_is_refused(other: Json) -> None:
    with pytest.raises(OutOfBoundsError):
        check_payload(other)
