"""Inputs: strict JSON, checked against the schema, with its defaults, and hashed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_engine.definition.inputs import InputCheck, InputRejected, check_input, input_hash, json_path, parse_json
from saga_engine.definition.model import Json
from tests.unit.definition.support import QUICK_S, definition

STEPS = "steps:\n  - {step: a, sleep: 1s}\n"
PLAIN = definition("saga: s\n" + STEPS)
ORDER = definition(
    """\
saga: s
input:
  $defs:
    line: {type: object, required: [sku], properties: {sku: {type: string, pattern: "^[A-Z]+$"}, count: {default: 1}}}
  type: object
  required: [id, lines]
  additionalProperties: false
  properties:
    id: {type: string, minLength: 1}
    lines: {type: array, items: {$ref: "#/$defs/line"}}
    currency: {type: string, default: EUR}
    options: {type: object, default: {}, properties: {gift: {type: boolean, default: false}}}
    odd name: {type: integer}
"""
    + STEPS
)


class Size(Enum):
    LARGE = "large"


@dataclass
class Point:
    x: int


def rejected(value: Json | InputRejected) -> list[str]:
    assert isinstance(value, InputRejected), value
    return [f"{problem.code} {problem.json_path}" for problem in value.problems]


def test_defaults_are_filled_in_at_every_depth_and_the_given_input_stays_as_it_is() -> None:
    given_input: Json = {"id": "1", "lines": [{"sku": "A"}, {"sku": "B", "count": 2}], "options": {}}
    before = json.dumps(given_input)
    assert check_input(ORDER, given_input) == {
        "id": "1",
        "lines": [{"sku": "A", "count": 1}, {"sku": "B", "count": 2}],
        "currency": "EUR",
        "options": {"gift": False},
    }
    assert json.dumps(given_input) == before


def test_two_starts_do_not_share_a_default() -> None:
    check = InputCheck(ORDER)
    first, second = (check({"id": "1", "lines": []}) for _ in range(2))
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["options"] == second["options"]
    assert first["options"] is not second["options"]


def test_without_a_schema_any_object_is_taken_and_nothing_else() -> None:
    assert check_input(PLAIN, {"a": [1, None, 1.5, "x", {"b": True}]}) == {"a": [1, None, 1.5, "x", {"b": True}]}
    assert rejected(check_input(PLAIN, [1])) == ["E404 $"]
    assert rejected(check_input(PLAIN, "x")) == ["E404 $"]


def test_all_that_breaks_the_schema_is_told_at_once_with_its_json_path() -> None:
    bad: Json = {"lines": [{"sku": "a"}, {"count": 1}], "currency": 5, "extra": 1, "odd name": "x"}
    assert rejected(check_input(ORDER, bad)) == [
        "E404 $.currency",
        "E404 $.extra",
        "E404 $.id",
        "E404 $.lines[0].sku",
        "E404 $.lines[1].sku",
        'E404 $["odd name"]',
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (float("nan"), "E301 $.a"),
        (float("inf"), "E301 $.a"),
        (2**53 + 1, "E304 $.a"),
        (-(2**53) - 1, "E304 $.a"),
        ("\x00", "E305 $.a"),
        ("x\ud800", "E305 $.a"),
        ([1, {"b": "\udfff"}], "E305 $.a[1].b"),
        ({"\x00": 1}, "E305 $.a"),
    ],
)
def test_what_no_store_could_keep_is_refused_with_its_place(value: Json, problem: str) -> None:
    assert rejected(check_input(PLAIN, {"a": value})) == [problem]


def test_values_that_are_not_json_are_refused() -> None:
    assert rejected(check_input(PLAIN, {"a": {1: 2}})) == ["E306 $.a"]  # type: ignore[dict-item]  # on purpose
    assert rejected(check_input(PLAIN, {"a": b"x"})) == ["E306 $.a"]


@pytest.mark.parametrize("value", [UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), Size.LARGE, Point(1)])
def test_what_only_has_a_text_in_json_is_refused(value: object) -> None:
    given = {"a": [{"b": value}]}
    assert rejected(check_input(PLAIN, given)) == ["E306 $.a[0].b"]  # type: ignore[arg-type]  # on purpose


def test_an_input_is_at_most_256_kib_and_64_levels() -> None:
    size = 256 * 1024 - len('{"a":""}')
    assert not isinstance(check_input(PLAIN, {"a": "x" * size}), InputRejected)
    assert rejected(check_input(PLAIN, {"a": "x" * (size + 1)})) == ["E402 $"]
    deep: Json = 1
    for _ in range(63):
        deep = [deep]
    assert not isinstance(check_input(PLAIN, {"a": deep}), InputRejected)
    assert rejected(check_input(PLAIN, {"a": [deep]}))[0].startswith("E303 $.a[0]")


def test_defaults_do_not_let_an_input_grow_beyond_the_limit() -> None:
    growing = definition(
        "saga: s\ninput: {type: object, properties: {l: {type: array, items: "
        f"{{type: object, properties: {{t: {{default: '{'x' * 1000}'}}}}}}}}}}}}\n" + STEPS
    )
    assert rejected(check_input(growing, {"l": [{}] * 1000})) == ["E402 $"]


def test_a_pattern_takes_linear_time_whatever_it_is_matched_with() -> None:
    slow = definition("saga: s\ninput: {type: object, properties: {a: {type: string, pattern: '^(a+)+$'}}}\n" + STEPS)
    start = time.process_time()
    assert rejected(check_input(slow, {"a": "a" * 50_000 + "!"})) == ["E404 $.a"]
    assert time.process_time() - start < QUICK_S


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": NaN}', "E301 $"),
        (b'{"a": -Infinity}', "E301 $"),
        (b'{"a": 1e999}', "E301 $.a"),
        (b'{"a": 1, "a": 2}', "E302 $"),
        (b"[" * 100_000, "E303 $"),
        (b'{"a":' * 100_000, "E303 $"),
        (b"7" * 5_000, "E304 $"),
        (b"9007199254740993", "E304 $"),
        (b'{"a": "\\ud800"}', "E305 $.a"),
        (b'{"a": "\\u0000"}', "E305 $.a"),
        (b'{"a": 1', "E306 $"),
        (b"\xff", "E306 $"),
        (b"", "E306 $"),
        (b" " * (1 << 20) + b" 1", "E402 $"),
    ],
)
def test_json_that_is_not_strict_is_refused(text: bytes, problem: str) -> None:
    assert rejected(parse_json(text)) == [problem]


def test_brackets_in_strings_are_not_depth() -> None:
    text = '"' + "[" * 100 + '\\"' + "{" * 100 + '"'
    assert parse_json(text.encode()) == "[" * 100 + '"' + "{" * 100


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(values)
def test_json_reads_back_as_it_was_written(value: Json) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_whatever_the_bytes_reading_json_never_raises(text: bytes) -> None:
    parse_json(text)


@given(st.dictionaries(st.sampled_from("abc"), values, max_size=3))
def test_the_hash_of_an_input_does_not_depend_on_the_order_of_its_keys(value: dict[str, Json]) -> None:
    assert input_hash(value) == input_hash(dict(reversed(value.items())))


def test_the_hash_of_an_input_never_changes_between_releases() -> None:
    """A start that is repeated after an upgrade must find its saga."""
    value: Json = {"b": [1, 1.5, None, True, "é"], "a": {}}
    assert input_hash(value) == "d526e2f1346ac9d9de9299b1d359bf7cdbc5732da1e247599ca3a85d9e8b4581"


def test_a_json_path_puts_odd_names_in_brackets() -> None:
    assert json_path(["a", 0, "odd name", 'q"', "é"]) == '$.a[0]["odd name"]["q\\""]["\\u00e9"]'
