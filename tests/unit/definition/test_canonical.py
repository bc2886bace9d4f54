"""The stored form: every default in it, the same hash for the same meaning, and a way back that loses nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_engine.definition.canonical import definition_bytes, definition_hash, definition_to_json
from saga_engine.definition.expressions import CompiledExpression, compile_value
from saga_engine.definition.loader import Loaded, load_file, load_text
from saga_engine.definition.model import (
    Call,
    Child,
    Compensation,
    Definition,
    Emit,
    ForEach,
    Jitter,
    Json,
    Kind,
    OnExhausted,
    OnTimeout,
    Retry,
    SagaEmit,
    Sleep,
    StartOn,
    Step,
    Timeout,
    Wait,
    WaitOn,
)
from saga_engine.definition.stored import CorruptDefinitionError, definition_from_json
from tests.unit.definition.support import SOUND, definition

TEXT = "saga: s\nsteps:\n  - step: a\n    call: p.c\n    compensate: {call: p.u}\n"


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_a_definition_survives_storage(path: Path) -> None:
    result = load_file(path)
    assert isinstance(result, Loaded)
    stored = definition_bytes(result.definition)
    again = definition_from_json(json.loads(stored))
    assert again == result.definition
    assert definition_bytes(again) == stored


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_the_canonical_form_is_the_language_itself(path: Path) -> None:
    """JSON is YAML: what is stored can be shown to a person, edited and loaded again."""
    result = load_file(path)
    assert isinstance(result, Loaded)
    again = load_text(definition_bytes(result.definition), "stored.json")
    assert isinstance(again, Loaded), str(again)
    assert definition_hash(again.definition) == definition_hash(result.definition)


def test_the_canonical_form_has_every_default() -> None:
    assert definition_to_json(definition(TEXT)) == {
        "saga": "s",
        "version": 1,
        "summary": "",
        "steps": [
            {
                "step": "a",
                "needs": [],
                "call": "p.c",
                "kind": "compensatable",
                "with": {},
                "retry": {
                    "maximum_attempts": 5,
                    "initial_interval": "1s",
                    "backoff_coefficient": 2.0,
                    "maximum_interval": "30s",
                    "jitter": "full",
                    "non_retryable_errors": [],
                },
                "timeout": {"reply": "30s"},
                "compensate": {
                    "call": "p.u",
                    "retry": {
                        "maximum_attempts": 20,
                        "initial_interval": "1s",
                        "backoff_coefficient": 2.0,
                        "maximum_interval": "10m",
                        "jitter": "full",
                        "non_retryable_errors": [],
                    },
                    "timeout": {"reply": "30s"},
                    "on_exhausted": "block",
                },
            }
        ],
    }


def test_the_hash_of_a_definition_never_changes_between_releases() -> None:
    """Running sagas are pinned by it: a new value here means that they would lose their definition."""
    assert definition_hash(definition(TEXT)) == "b14397514a8bd9cd96e9f42f85abf50821d46fa48ceb00eece12af9070e688f9"


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + TEXT,
        TEXT.replace("saga: s\n", "saga: 's'\nversion: 1\nsummary: ''\n"),
        TEXT.replace("call: p.c", "retry: {maximum_attempts: 5, initial_interval: 1000ms}\n    call: p.c"),
        TEXT.replace("    call: p.c\n", "    needs: []\n    kind: compensatable\n    call: p.c\n"),
    ],
)
def test_saying_the_same_in_other_words_keeps_the_hash(text: str) -> None:
    assert definition_hash(definition(text)) == definition_hash(definition(TEXT))


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("p.c", "p.d"),
        TEXT.replace("saga: s", "saga: t"),
        TEXT + "    with: {a: null}\n",
        TEXT.replace("saga: s", "saga: s\noutput: null"),
        TEXT.replace("saga: s", "saga: s\ntimeout: 1h"),
        TEXT.replace("{call: p.u}", "none"),
        TEXT.replace("{call: p.u}", "{call: p.u, with: null}"),
    ],
)
def test_saying_something_else_changes_the_hash(text: str) -> None:
    assert definition_hash(definition(text)) != definition_hash(definition(TEXT))


@pytest.mark.parametrize(
    "change",
    [
        {"version": "1"},
        {"saga": None},
        {"steps": {}},
        {"timeout": "soon"},
        {"key": "${{"},
        {"steps": [{"step": "a", "needs": [1], "sleep": "5m"}]},
        {"steps": [{"step": "a", "needs": [], "call": "p.c", "with": {}, "kind": "other"}]},
        {"steps": [{"step": "a", "needs": [], "call": "p.c", "with": {}, "kind": "pivot"}]},
        {"steps": ["a"]},
    ],
)
def test_what_is_no_stored_definition_is_called_corrupt(change: dict[str, Json]) -> None:
    with pytest.raises(CorruptDefinitionError):
        definition_from_json(definition_to_json(definition(TEXT)) | change)


def _expression(source: Json) -> CompiledExpression:
    compiled = compile_value(source)
    assert isinstance(compiled, CompiledExpression)
    return compiled


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
events = st.from_regex(r"[A-Z][a-z]{1,6}", fullmatch=True)
durations = st.integers(1, 10**7).map(lambda milliseconds: milliseconds * 1_000)
sources = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.sampled_from(["", "x", "${{ input.a }}", "a ${{ saga.id }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
values = sources.map(_expression)
retries = st.builds(
    Retry,
    st.integers(1, 99),
    durations,
    st.floats(1, 10),
    durations,
    st.sampled_from(Jitter),
    st.lists(names, max_size=2).map(tuple),
)
timeouts = st.builds(Timeout, durations, st.none() | durations)
emits = st.none() | st.builds(Emit, events, st.none() | st.just("ORDERS.created"), st.none() | values)
compensations = st.builds(
    Compensation, names, names, st.none() | values, emits, retries, timeouts, st.sampled_from(OnExhausted)
)
each = st.none() | st.builds(ForEach, values, names, st.integers(1, 9), st.integers(0, 9))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    kind = draw(st.sampled_from(Kind))
    compensation = draw(st.none() | compensations) if kind is Kind.COMPENSATABLE else None
    return Call(
        draw(names),
        draw(names),
        draw(values),
        kind,
        draw(retries),
        draw(timeouts),
        compensation,
        draw(each),
        draw(emits),
    )


waits = st.builds(
    lambda event, limit, emit, on: Wait(event, limit[0], limit[1], emit, on),
    events,
    st.just((None, OnTimeout.FAIL)) | st.tuples(durations, st.sampled_from(OnTimeout)),
    emits,
    st.none() | st.builds(WaitOn, st.just("A.b"), values),
)


def definitions(depth: int = 1) -> st.SearchStrategy[Definition]:
    child = st.none() | definitions(depth - 1) if depth else st.none()
    children = st.builds(Child, names, st.none() | st.integers(1, 9), values, child)
    actions = calls() | st.builds(Sleep, durations) | waits | children
    steps = st.builds(Step, names, st.lists(names, max_size=2).map(tuple), st.none() | values, actions)
    optional = st.none() | durations
    return st.builds(
        Definition,
        names,
        st.integers(1, 99),
        st.text(max_size=9),
        st.none() | st.just(_expression("${{ input.id }}")),
        st.none() | st.just({"type": "object"}),
        optional,
        optional,
        st.none() | values,
        st.builds(SagaEmit, emits, emits, emits),
        st.lists(steps, min_size=1, max_size=3).map(tuple),
        st.none() | st.builds(StartOn, st.just("A.b"), st.none() | values, st.none() | values),
    )


@settings(max_examples=150, deadline=None)
@given(definitions())
def test_any_definition_of_the_model_survives_storage_with_its_hash(found: Definition) -> None:
    again = definition_from_json(json.loads(definition_bytes(found)))
    assert again == found
    assert definition_hash(again) == definition_hash(found)
