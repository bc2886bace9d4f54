"""What breaks a JSON Schema is told in our words: what was found, what was expected, what to write."""

from __future__ import annotations

import re
from itertools import product

import pytest
from jsonschema import Draft202012Validator

from saga_engine.definition.input_schema import checker, form_errors
from saga_engine.definition.inputs import json_path
from saga_engine.definition.model import Json
from saga_engine.definition.schema_words import WORDS

LED_ON: frozenset[str] = frozenset(
    {"$ref", "$dynamicRef", "allOf", "dependentSchemas", "if", "patternProperties", "prefixItems", "properties"}
    | {"propertyNames"}
)
"""Keywords that lead to others, which are told in their place."""

INTEGER: dict[str, Json] = {"type": "integer", "minimum": 1}
ORDER: dict[str, Json] = {
    "type": "object",
    "required": ["qty"],
    "additionalProperties": False,
    "properties": {"qty": INTEGER, "sku": {"type": "string"}},
}

SAID: list[tuple[dict[str, Json], Json, str]] = [
    (INTEGER, "two", 'found the text "two"; expected an integer of at least 1, such as 1'),
    (INTEGER, "2", 'found the text "2"; expected an integer of at least 1, such as 1; write 2 without quotes'),
    (INTEGER, 1.5, "found the number 1.5; expected an integer of at least 1, such as 1"),
    (INTEGER, None, "found null; expected an integer of at least 1, such as 1"),
    (INTEGER, 0, "found the number 0; expected at least 1"),
    ({"type": "integer", "examples": [12]}, {}, "found an object; expected an integer, such as 12"),
    ({"type": "integer", "default": 7}, [], "found a list of 0 items; expected an integer, such as 7"),
    ({"type": "integer", "maximum": -5}, "x", 'found the text "x"; expected an integer of at most -5'),
    ({"type": "integer", "exclusiveMinimum": 4}, "x", 'found the text "x"; expected an integer above 4, such as 5'),
    ({"type": ["integer", "null"]}, "x", 'found the text "x"; expected an integer or null, such as 1'),
    ({"type": "string"}, 5, 'found the number 5; expected a text; write "5", in quotes'),
    ({"type": "boolean"}, "true", 'found the text "true"; expected true or false; write true without quotes'),
    ({"type": "array"}, "a", 'found the text "a"; expected a list; write ["a"] for a list of one'),
    ({"type": "object"}, [1], "found a list of 1 item; expected an object"),
    (
        {"enum": ["small", "large"]},
        "smal",
        'found the text "smal"; expected one of "small", "large"; did you mean "small"?',
    ),
    ({"enum": [1, 2]}, 3, "found the number 3; expected one of 1, 2"),
    ({"const": "x"}, 1, 'found the number 1; expected exactly "x"'),
    ({"maximum": 5}, 9, "found the number 9; expected at most 5"),
    ({"exclusiveMinimum": 0}, 0, "found the number 0; expected more than 0"),
    ({"exclusiveMaximum": 10}, 10, "found the number 10; expected less than 10"),
    ({"multipleOf": 5}, 7, "found the number 7; expected a multiple of 5"),
    ({"minLength": 3}, "x", "has 1 character; expected at least 3 characters"),
    ({"maxLength": 1}, "xy", "has 2 characters; expected at most 1 character"),
    ({"pattern": "^[A-Z]+$"}, "a", 'found the text "a"; expected a text that matches "^[A-Z]+$"'),
    ({"minItems": 1}, [], "has 0 items; expected at least 1 item"),
    ({"maxItems": 1}, [1, 2], "has 2 items; expected at most 1 item"),
    ({"uniqueItems": True}, ["a", "b", "a"], 'the item "a" stands there twice; expected items that differ'),
    ({"prefixItems": [{}], "items": False}, [1, 2], "found a list of 2 items; expected a list of at most 1 item"),
    (
        {"contains": {"type": "integer"}, "minContains": 2, "maxContains": 3},
        [1],
        "not as many items as there must be are of the right kind; "
        "expected at least 2 and at most 3 times an integer, such as 1",
    ),
    ({"minProperties": 1}, {}, "has 0 keys; expected at least 1 key"),
    ({"maxProperties": 1}, {"a": 1, "b": 2}, "has 2 keys; expected at most 1 key"),
    ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "a key: has 2 characters; expected at most 1 character"),
    ({"anyOf": [INTEGER, {"type": "null"}]}, "x", 'found the text "x"; expected an integer of at least 1 or null'),
    (
        {"oneOf": [INTEGER, {"type": "object", "required": ["x"]}]},
        {},
        "fits none of 2 forms, the nearest because x: is missing; expected a value",
    ),
    ({"oneOf": [INTEGER, {}]}, 3, "fits more than one of the forms that it may have; expected exactly one"),
    ({"not": {"type": "string"}}, "x", 'found the text "x"; expected anything but a text'),
    ({"unevaluatedProperties": False}, {"a": 1}, "holds what no part of the schema names; expected nothing else"),
    ({"unevaluatedItems": False}, [1], "holds what no part of the schema names; expected nothing else"),
    ({"allOf": [False]}, 1, "found the number 1, which the schema does not allow; remove it"),
    ({"$ref": "#/$defs/n", "$defs": {"n": INTEGER}}, 0, "found the number 0; expected at least 1"),
]


@pytest.mark.parametrize(("schema", "value", "said"), SAID, ids=lambda given: str(given)[:40])
def test_a_broken_keyword_is_told_with_what_was_found_and_what_was_expected(
    schema: dict[str, Json], value: Json, said: str
) -> None:
    assert checker(schema)(value) == [((), said)]


def test_every_keyword_of_the_draft_has_words_or_leads_to_others() -> None:
    assert set(Draft202012Validator.VALIDATORS) - LED_ON <= set(WORDS)


def test_what_is_missing_and_what_is_unknown_are_told_at_their_own_places() -> None:
    assert [(json_path(path), said) for path, said in checker(ORDER)({"qyt": 1})] == [
        ("$.qty", 'is missing; expected an integer of at least 1, such as 1; is "qyt" meant to be "qty"?'),
        ("$.qyt", 'an unknown key; expected one of qty, sku; did you mean "qty"?'),
    ]


def test_what_another_key_asks_for_is_told_with_that_key() -> None:
    schema: dict[str, Json] = {"dependentRequired": {"card": ["holder"]}, "properties": {"holder": {"type": "string"}}}
    assert checker(schema)({"card": "4111"}) == [(("holder",), 'is missing, and goes with "card"; expected a text')]


def test_what_is_missing_is_expected_as_a_reference_says() -> None:
    schema: dict[str, Json] = {
        "required": ["n"],
        "properties": {"n": {"$ref": "#/$defs/n"}},
        "$defs": {"n": {"enum": ["a", "b"]}},
    }
    assert checker(schema)({}) == [(("n",), 'is missing; expected one of "a", "b"')]


def test_keys_with_a_schema_of_their_own_are_judged_by_it() -> None:
    schema: dict[str, Json] = {"additionalProperties": {"type": "integer"}, "properties": {"name": {}}}
    ((path, said),) = checker(schema)({"name": "x", "a": 1, "b": "2"})
    assert (path, said) == (("b",), 'found the text "2"; expected an integer, such as 1; write 2 without quotes')


def test_a_long_list_of_names_is_cut_and_what_was_meant_still_told() -> None:
    schema: dict[str, Json] = {"additionalProperties": False, "properties": {f"field_{n:02}": {} for n in range(50)}}
    ((_, said),) = checker(schema)({"feild_07": 1})
    assert said.endswith('field_11 and 38 more; did you mean "field_07"?')


def test_a_long_value_is_told_shortened_and_without_control_characters() -> None:
    ((_, said),) = checker({"type": "integer"})("\x1b[31m" + "x" * 5_000)
    assert "\x1b" not in said
    assert len(said) < 300


def test_nothing_is_told_in_the_words_of_the_library_whatever_is_checked() -> None:
    values: tuple[Json, ...] = (None, True, 0, 1.5, "", "x", "5", [], [1, 1], ["a", {}], {}, {"qty": "1"}, {"a": None})
    theirs = re.compile(
        r"is not of type|is not valid|given schema|required property|too short|too long|non-unique|['\n]"
    )
    for (schema, _, _), value in product(SAID, values):
        for _, said in checker({**schema, "required": ["qty"]})(value):
            assert said
            assert not theirs.search(said), (schema, value, said)


def test_a_schema_that_is_none_is_told_in_the_same_words() -> None:
    ((path, said),) = form_errors({"type": "strng"})
    assert path == ("type",)
    assert said.endswith('did you mean "string"?')
