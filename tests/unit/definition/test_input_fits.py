"""The quick look at inputs: what it lets pass fits, as the library that knows all of JSON Schema says."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_engine.definition.input_fits import has_defaults, plainly_fits
from saga_engine.definition.input_schema import checker
from saga_engine.definition.model import Json

ORDER: Final[Json] = {
    "type": "object",
    "required": ["id", "amount"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 8},
        "amount": {"type": "integer", "minimum": 1},
        "lines": {"type": "array", "maxItems": 2, "items": {"type": "object", "required": ["sku"]}},
        "currency": {"enum": ["EUR", "USD"], "description": "of the amount"},
    },
}

TYPES: Final = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
BOUNDS: Final = st.integers(-3, 3)


def schemas() -> st.SearchStrategy[Json]:
    return st.recursive(
        st.fixed_dictionaries(
            {},
            optional={
                "type": TYPES,
                "minimum": BOUNDS,
                "maximum": BOUNDS,
                "minLength": BOUNDS.map(abs),
                "maxLength": BOUNDS.map(abs),
                "enum": st.lists(st.sampled_from(["a", "b", ""]), min_size=1),
            },
        ),
        lambda parts: st.fixed_dictionaries(
            {},
            optional={
                "type": TYPES,
                "items": parts,
                "minItems": BOUNDS.map(abs),
                "maxItems": BOUNDS.map(abs),
                "properties": st.dictionaries(st.sampled_from("abc"), parts),
                "required": st.lists(st.sampled_from("abc"), unique=True),
                "additionalProperties": st.booleans(),
            },
        ),
        max_leaves=6,
    )


VALUES: Final[st.SearchStrategy[Json]] = st.recursive(
    st.none() | st.booleans() | BOUNDS | st.floats(-3, 3) | st.sampled_from(["a", "b", "", "abc"]),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from("abcd"), parts, max_size=3),
    max_leaves=8,
)


@given(schemas(), VALUES)
def test_what_passes_the_quick_look_breaks_no_rule(schema: Json, value: Json) -> None:
    assert isinstance(schema, dict)
    quick = plainly_fits(schema)
    if quick is not None and quick(value):
        assert checker(schema)(value) == []


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"id": "1", "amount": 1}, True),
        ({"id": "1", "amount": 1, "lines": [{"sku": "A"}], "currency": "EUR"}, True),
        ({"id": "1"}, False),
        ({"id": "1", "amount": 0}, False),
        ({"id": "1", "amount": True}, False),
        ({"id": "", "amount": 1}, False),
        ({"id": "123456789", "amount": 1}, False),
        ({"id": "1", "amount": 1, "more": 1}, False),
        ({"id": "1", "amount": 1, "lines": [{}]}, False),
        ({"id": "1", "amount": 1, "lines": [{"sku": 1}] * 3}, False),
        ({"id": "1", "amount": 1, "currency": "GBP"}, False),
        ([], False),
    ],
)
def test_the_inputs_of_an_order_are_told_apart(value: Json, fits: bool) -> None:
    quick = plainly_fits(ORDER)
    assert quick is not None
    assert quick(value) is fits


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/order"},
        {"type": ["string", "null"]},
        {"type": "number"},
        {"minimum": 0.5},
        {"enum": ["a", 1]},
        {"properties": {"a": {"pattern": "^a"}}},
        {"additionalProperties": {"type": "string"}},
        {"items": False},
        False,
    ],
)
def test_a_schema_beyond_the_common_keywords_has_no_quick_look(schema: Json) -> None:
    assert plainly_fits(schema) is None


def test_defaults_are_found_wherever_they_stand() -> None:
    assert not has_defaults(ORDER)
    assert has_defaults({"properties": {"a": {"items": {"allOf": [{"default": 1}]}}}})
