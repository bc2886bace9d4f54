"""Payloads against exported commands: values that cannot be what is taken are named, what may fit is left alone."""

from __future__ import annotations

import pytest

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.model import Json
from tests.unit.definition.support import loaded

CITY: dict[str, Json] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SEE: dict[str, Json] = {
    "type": "object",
    "$defs": {"Address": CITY},
    "properties": {
        "what": {"type": "string", "maxLength": 5},
        "seats": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
        "row": {"enum": ["front", "back"], "type": "string"},
        "to": {"$ref": "#/$defs/Address"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "any": {},
    },
}
RESULT: dict[str, Json] = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
CATALOGUE = ParticipantCatalogue(
    {
        "booth.see": CommandEntry(SEE, RESULT),
        "booth.forget": CommandEntry({"type": "object", "properties": {"any": {"type": "string"}}}),
        "booth.odd": CommandEntry({"type": "object", "properties": {"what": {"type": "strng", "pattern": "(("}}}),
        "booth.either": CommandEntry(
            {
                "properties": {"a": {}, "b": {}},
                "if": {"properties": {"a": {"const": 1}}},
                "then": {"properties": {"b": False}},
            }
        ),
    }
)
SAGA = """
saga: s
input:
  type: object
  required: [name, age, loud, many, maybe]
  properties:
    name: {{type: string}}
    age: {{type: integer}}
    ratio: {{type: number}}
    loud: {{type: boolean}}
    many: {{type: array, items: {{type: object, properties: {{id: {{type: integer}}}}, required: [id]}}}}
    maybe: {{type: [string, "null"]}}
    open: {{}}
steps:
  - {{step: first, call: booth.see, with: {{}}, compensate: none}}
  - {{step: second, call: {call}, with: {{{payload}}}, {rest}}}
"""


def warnings(payload: str, call: str = "booth.see", rest: str = "compensate: none") -> list[str]:
    result = loaded(SAGA.format(payload=payload, call=call, rest=rest), CATALOGUE)
    return [str(one).partition(": ")[2] for one in result.warnings if one.code == "W304"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("what: 3", '"what" of booth.see: found the number 3; expected a text; write "3", in quotes'),
        ("what: true", '"what" of booth.see: found true; expected a text'),
        ("what: longer than five", '"what" of booth.see: has 16 characters; expected at most 5 characters'),
        ("seats: 0", '"seats" of booth.see: found the number 0; expected at least 1'),
        (
            "row: frnt",
            '"row" of booth.see: found the text "frnt"; expected one of "front", "back"; did you mean "front"?',
        ),
        ("to: {city: 3}", '"to.city" of booth.see: found the number 3; expected a text'),
        ("to: {town: x}", '"to.city" of booth.see: is missing; expected a text'),
        ("tags: [a, 3]", '"tags[1]" of booth.see: found the number 3; expected a text'),
        ("note: 3", '"note" of booth.see: found the number 3; expected a text or null'),
        ('to: {city: 3, zip: "${{ input.age }}"}', '"to.city" of booth.see: found the number 3; expected a text'),
        ('what: "${{ input.age }}"', '"what" of booth.see: input.age is an integer; expected a text'),
        ('what: "${{ input.loud }}"', '"what" of booth.see: input.loud is a boolean; expected a text'),
        ('seats: "${{ input.name }}"', '"seats" of booth.see: input.name is a text; expected an integer'),
        ('seats: "no ${{ input.age }}"', '"seats" of booth.see: a text around an expression; expected an integer'),
        ('seats: "${{ input.many }}"', '"seats" of booth.see: input.many is a list; expected an integer'),
        ('what: "${{ input.many[0].id }}"', '"what" of booth.see: input.many[0].id is an integer; expected a text'),
        ('to: {city: "${{ input.age }}"}', '"to.city" of booth.see: input.age is an integer; expected a text'),
        ('tags: ["${{ input.age }}"]', '"tags[0]" of booth.see: input.age is an integer; expected a text'),
        ('what: "${{ steps.first.result.number }}"', "steps.first.result.number is an integer; expected a text"),
    ],
)
def test_a_value_that_cannot_be_what_the_command_takes_is_named_with_what_it_takes(payload: str, expected: str) -> None:
    (warning,) = warnings(payload)
    assert expected in warning


@pytest.mark.parametrize(
    "payload",
    [
        "what: text, seats: 1, price: 2, row: back, to: {city: x}, tags: [], note: null, any: {a: [1]}",
        'what: "${{ input.name }}", seats: "${{ input.age }}", note: "${{ input.maybe }}", any: "${{ input.many }}"',
        'price: "${{ input.age }}"',
        'seats: "${{ input.ratio }}"',
        'what: "${{ input.maybe }}"',
        'what: "${{ input.open }}"',
        'what: "${{ size(input.name) }}"',
        'row: "${{ input.name }}"',
        'what: "a long text with ${{ input.age }} in it"',
        'to: "${{ input.open }}", tags: ["${{ input.name }}", "b"]',
        'to: {city: "${{ input.name }}"}',
    ],
)
def test_a_value_that_may_be_what_the_command_takes_is_left_alone(payload: str) -> None:
    assert warnings(payload) == []


def test_a_compensation_without_a_payload_is_judged_by_what_the_step_sends() -> None:
    (warning,) = warnings("any: 3", rest="compensate: {call: booth.forget}")
    assert '"any" of booth.forget: found the number 3; expected a text' in warning


def test_a_compensations_own_payload_is_judged_at_its_own_place() -> None:
    (warning,) = warnings("any: 3", rest='compensate: {call: booth.forget, with: {any: "${{ input.age }}"}}')
    assert '"any" of booth.forget: input.age is an integer' in warning
    assert warnings("any: 3", rest='compensate: {call: booth.forget, with: {any: "${{ failure.code }}"}}') == []


def test_an_item_of_a_list_has_the_type_that_the_input_declares() -> None:
    rest = 'for_each: {in: "${{ input.many }}", as: one}, compensate: none'
    (warning,) = warnings('what: "${{ one.id }}"', rest=rest)
    assert "one.id is an integer; expected a text" in warning


def test_a_command_whose_schema_is_none_is_not_judged_by_it() -> None:
    assert warnings("what: 3", "booth.odd") == []


def test_a_value_that_an_expression_decides_over_is_not_judged() -> None:
    assert warnings('a: "${{ input.age }}", b: 2', "booth.either") == []
