"""Expressions: types are kept, failures are values, and nothing that is written or passed in makes them raise."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_engine.definition.expressions import CompiledExpression, compile_value, literal_text
from saga_engine.definition.model import ExpressionFailed, Json
from saga_engine.definition.values import MAX_PAYLOAD, canonical_json
from tests.unit.definition.support import QUICK_S, compiled, evaluate, failure

ORDER: Json = {
    "id": "o-1",
    "amount": 5,
    "price": 1.5,
    "paid": True,
    "note": None,
    "lines": [{"sku": "A", "count": 2}, {"sku": "B", "count": 3}],
    "odd key": {"in": 1},
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        (7, 7),
        (None, None),
        ([1, {"a": None}], [1, {"a": None}]),
        ("${{ input.id }}", "o-1"),
        ("${{input.amount}}", 5),
        ("${{ input.price }}", 1.5),
        ("${{ input.paid }}", True),
        ("${{ input.note }}", None),
        ("${{ input.lines[1].sku }}", "B"),
        ("${{ input['odd key'][\"in\"] }}", 1),
        ("${{ input.lines }}", [{"sku": "A", "count": 2}, {"sku": "B", "count": 3}]),
        ({"a": ["${{ input.id }}", 1], "b": "x"}, {"a": ["o-1", 1], "b": "x"}),
    ],
)
def test_a_value_that_is_only_an_expression_keeps_its_type(source: Json, value: Json) -> None:
    result = evaluate(source, input=ORDER)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("order ${{ input.id }}", "order o-1"),
        ("${{ input.id }}${{ input.amount }}", "o-15"),
        ("${{ input.price }} ${{ input.paid }} ${{ input.note }}", "1.5 true null"),
        ("lines: ${{ input.lines[0] }}", 'lines: {"count":2,"sku":"A"}'),
        ("costs $${{ 5 }} now", "costs ${{ 5 }} now"),
        ("$${{", "${{"),
        ("$${{ ${{ input.id }}", "${{ o-1"),
        ("$5 }} {{ x", "$5 }} {{ x"),
        ("a ${{ '}}' }} b", "a }} b"),
        ("a ${{ {'k': {'j': 1}} }} b", 'a {"k":{"j":1}} b'),
        ("${{ r'\\' }}x", "\\x"),
    ],
)
def test_in_mixed_text_strings_stand_as_they_are_and_the_rest_as_json(source: str, text: str) -> None:
    assert evaluate(source, input=ORDER) == text


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("input.amount * 2 + 1", 11),
        ("input.amount > 3 && input.paid", True),
        ("input.paid ? 'yes' : 'no'", "yes"),
        ("input.lines.map(x, x.count * 2)", [4, 6]),
        ("input.lines.filter(x, x.count > 2).size()", 1),
        ("input.lines.exists(x, x.sku == 'B')", True),
        ("input.lines.map(x, x.count > 2, x.sku)", ["B"]),
        ("size(input.lines)", 2),
        ("has(input.missing)", False),
        ("has(input.missing) ? input.missing : 'none'", "none"),
        ("'A' in ['A', 'B']", True),
        ("'id' in input", True),
        ("input.id.startsWith('o-') && input.id.matches('^o-[0-9]+$')", True),
        ("string(input.amount) + '!'", "5!"),
        ("int('12') + 1", 13),
        ("double(input.amount) * 1.5", 7.5),
        ("-input.amount", -5),
        ("[1, 2] + [3]", [1, 2, 3]),
        ("{'b': 1, 'a': input.id}", {"a": "o-1", "b": 1}),
        ("steps.a.result != null ? steps.a.result.x : null", None),
        ("'it\\'s' + \"\\n\"", "it's\n"),
        ("0x1F", 31),
        ("input.lines[input.amount - 4].sku", "B"),
    ],
)
def test_the_rest_is_cel(expression: str, value: Json) -> None:
    assert evaluate(f"${{{{ {expression} }}}}", input=ORDER, steps={"a": {"result": None}}) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("input.missing", "input.missing is not there"),
        ("input.id.x", "input.id is a text and has no field 'x'"),
        ("input.note.x", "input.note is null and has no field 'x'"),
        ("input.lines[2]", "input.lines has 2 elements and no [2]"),
        ("input.lines.sku", "input.lines is a list and has no field 'sku'"),
        ("input.id[0]", "input.id is a text and not a list"),
        ("steps.a.result", "steps is not there"),
        ("input.amount + 'x'", "No such overload"),
        ("input.amount / 0", "division by zero"),
        ("1.0 / 0.0", "a number is not finite"),
        ("9007199254740992 * 2", "an integer is beyond ±2^53"),
        ("9007199254740992 * 9007199254740992", "verflow"),
        ("input.lines.map(x, x.price)", "price"),
        ("input['odd key'].map(k, k)", "a comprehension runs over a list, not over an object"),
        ("(input.paid ? input['odd key'] : input).all(k, true)", "runs over a list, not over an object"),
        ("has(input.note.x)", "overload"),
        ("int('twelve')", "twelve"),
        ("input.id.matches('(')", "regex"),
        ("'\\x07' + nothing", "nothing"),
    ],
)
def test_an_expression_without_a_value_says_why(expression: str, message: str) -> None:
    assert message in failure(f"${{{{ {expression} }}}}", input=ORDER)


def test_a_failing_leaf_fails_the_whole_structure() -> None:
    assert failure({"a": [1, "${{ input.b }}"]}, input={}) == "input.b is not there"
    assert failure("x ${{ input.b }}", input={}) == "input.b is not there"


def test_the_names_that_are_read_are_known_without_evaluating() -> None:
    expression = compiled(
        {"a": "${{ steps.one.result.x }}", "b": "${{ input.l.map(i, i.x + steps['two'].result) }} ${{ saga.key }}"}
    )
    assert expression.roots == {"steps", "input", "saga"}
    assert expression.steps == {"one", "two"}
    assert compiled("${{ 1 + 1 }}").roots == frozenset()


def test_a_comprehension_gives_its_name_only_to_its_body() -> None:
    assert compiled("${{ item.all(item, item.ok) }}").roots == {"item"}
    assert compiled("${{ input.l.all(x, x.ok) }}").roots == {"input"}


def test_the_source_is_kept_as_written() -> None:
    source: Json = {"a": "${{  input.x  }}", "b": ["$${{"]}
    assert compiled(source).source == source
    assert compiled(source) == compiled({"a": "${{  input.x  }}", "b": ["$${{"]})
    assert compiled(source) != compiled({"a": "${{ input.x }}", "b": ["$${{"]})


@given(
    st.text(st.characters(exclude_characters="\x00"))
    | st.lists(st.sampled_from(["$", "{", "${{", "}}", "a"])).map("".join)
)
def test_any_text_can_be_said_literally(text: str) -> None:
    assert evaluate(literal_text(text)) == text


def test_plain_paths_and_structures_of_them_do_not_import_cel() -> None:
    script = (
        "import sys\nfrom saga_engine.definition.expressions import compile_value\n"
        "e = compile_value({'a': '${{ input.x[0].y }}', 'b': 'n ${{ input.n }}', 'c': '${{ input.n + 1 }}'})\n"
        "assert compile_value('${{ input.n }}').evaluate({'input': {'n': 1}}) == 1\n"
        "assert 'cel' not in sys.modules\n"
        "assert e.evaluate({'input': {'x': [{'y': 2}], 'n': 1}}) == {'a': 2, 'b': 'n 1', 'c': 2}\n"
        "assert 'cel' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), inner, max_size=3),
    max_leaves=12,
)
_WORDS = (
    *("input", "steps", ".a", ".b", "['c d']", "[0]", "has(", ")", "(", " + ", " == ", " ? ", " : ", ".map(x, ", "x"),
    *(".all(x, ", "1", "'s'", "null", " && ", "!", "[", "]", "{'k': ", "}", ", ", "size(", "-", "1e5", "string(", "}}"),
    *("${{ ", "$", '"', "'", "\\u", "in", " in ", ".matches(", "9007199254740992", "// c", "\x00", "\ud800", "é"),
)
expressions = st.lists(st.sampled_from(_WORDS), max_size=14).map("".join)


@settings(max_examples=400, deadline=None)
@given(expressions, json_values)
def test_whatever_is_written_an_expression_never_raises(text: str, value: Json) -> None:
    result = compile_value(f"${{{{ {text} }}}}")
    if isinstance(result, CompiledExpression):
        first = result.evaluate({"input": value, "steps": {"a": value}})
        # Compared as text: not-a-number may not get out, and the order of keys must be the same too.
        assert repr(first) == repr(result.evaluate({"input": value, "steps": {"a": value}}))
    else:
        assert all(malformed.message for malformed in result)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), json_values)
def test_whatever_text_stands_between_the_braces_compiling_never_raises(text: str, value: Json) -> None:
    result = compile_value({"a": ["${{" + text + "}}", value]}, eager=True)
    assert isinstance(result, CompiledExpression | tuple)


@pytest.mark.parametrize(
    "expression",
    [
        "input.big.map(x, input.big)",
        "input.big.map(x, [x, x, x, x, x, x, x, x, x, x])",
        "input.text + input.text + input.text",
        "input.texts.map(x, input.text + input.text)",
        "input.texts.map(x, input.text.matches(x))",
        "input.long.map(x, x)",
        "(input.long + input.long).all(x, true)",
        "[input.text, input.text]",
    ],
)
def test_an_expression_that_would_take_too_much_is_refused_quickly(expression: str) -> None:
    roots: Json = {
        "big": [{"a": "x" * 200}] * 1000,
        "text": "y" * 60_000,
        "texts": ["(a|aa)+$"] * 900,
        "long": [0] * 1001,
    }
    start = time.process_time()
    result = evaluate(f"${{{{ {expression} }}}}", input=roots)
    assert isinstance(result, ExpressionFailed), str(result)[:80]
    assert time.process_time() - start < QUICK_S


def test_mixed_text_and_structures_are_bounded_too() -> None:
    big: Json = {"t": "x" * 60_000}
    assert "too large" in failure("${{ input.t }} ${{ input.t }}", input=big)
    assert "too large" in failure(["${{ input.t }}"] * 5, input=big)
    assert isinstance(evaluate(["${{ input.t }}"] * 4, input=big), list)


@pytest.mark.parametrize("character", ["\U0001f600", "\x01", '"'], ids=["four bytes", "an escape of six", "a quote"])
def test_a_payload_is_measured_as_the_text_that_is_sent(character: str) -> None:
    width = len(canonical_json(character)) - 2
    fits, too_long = (MAX_PAYLOAD - 2) // width, (MAX_PAYLOAD - 2) // width + 1
    assert evaluate("${{ input }}", input=character * fits) == character * fits
    assert f"at most {MAX_PAYLOAD:,}" in failure("${{ input }}", input=character * too_long)


def test_values_that_are_not_json_are_failures() -> None:
    assert "beyond ±2^53" in failure("${{ input }}", input=2**53 + 1)
    assert "not finite" in failure("${{ input }}", input=float("nan"))
    assert "NUL" in failure("${{ input }}", input="a\x00b")
    deep: Json = []
    for _ in range(80):
        deep = [deep]
    assert "deeper than 64" in failure("${{ input }}", input=deep)
    assert "deeper than 64" in failure("${{ size(input) }}", input=deep)


def test_a_plain_structure_takes_microseconds() -> None:
    expression = compiled({"id": "${{ input.id }}", "amount": "${{ input.amount }}", "paid": "${{ input.paid }}"})
    best = min(_timed(expression) for _ in range(5))
    assert best < 40e-6, f"{best * 1e6:.1f} µs"


def _timed(expression: CompiledExpression) -> float:
    roots = {"input": ORDER}
    start = time.process_time()
    for _ in range(1_000):
        expression.evaluate(roots)
    return (time.process_time() - start) / 1_000
