"""What the loader makes of sound definitions: defaults filled in, policies settled, warnings given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.loader import Loaded, load_file, load_text
from saga_engine.definition.model import Jitter, Kind, OnExhausted, OnTimeout, Retry, Sleep, Timeout, Wait
from saga_engine.definition.problems import Problems
from tests.unit.definition.support import MALFORMED, ROOT, SOUND, call, codes, definition, loaded, problems

SECOND = 1_000_000


def test_the_order_saga_of_this_project_loads_without_a_warning() -> None:
    result = load_file(ROOT / "definitions" / "place_order.yaml")
    assert isinstance(result, Loaded), str(result)
    assert result.warnings == ()
    found = result.definition
    assert [step.name for step in found.steps] == ["create_order", "debit_payment", "review_order", "approve_order"]
    assert [step.needs for step in found.steps] == [(), ("create_order",), ("debit_payment",), ("review_order",)]
    assert (found.timeout_us, found.sla_us) == (900 * SECOND, 120 * SECOND)


def test_what_the_author_leaves_out_has_the_documented_defaults() -> None:
    found = definition("saga: s\nsteps:\n  - step: a\n    call: p.c\n    compensate: {call: p.u}\n")
    action = call(found, "a")
    assert (found.version, found.summary, found.key, found.timeout_us) == (1, "", None, None)
    assert action.kind is Kind.COMPENSATABLE
    assert action.payload.source == {}
    assert action.retry == Retry(5, SECOND, 2.0, 30 * SECOND, Jitter.FULL, ())
    assert action.timeout == Timeout(30 * SECOND, None)
    assert action.compensation is not None
    assert action.compensation.payload is None
    assert action.compensation.retry == Retry(20, SECOND, 2.0, 600 * SECOND, Jitter.FULL, ())
    assert action.compensation.on_exhausted is OnExhausted.BLOCK


def test_defaults_of_the_saga_hold_for_forward_steps_and_give_way_to_the_step() -> None:
    found = definition(
        "saga: s\ndefaults: {retry: {maximum_attempts: 7, initial_interval: 2s}, timeout: {reply: 10s}}\nsteps:\n"
        "  - {step: a, call: p.c, retry: {maximum_attempts: 2}, compensate: {call: p.u}}\n"
    )
    action = call(found, "a")
    assert action.retry == Retry(2, 2 * SECOND, 2.0, 30 * SECOND, Jitter.FULL, ())
    assert action.timeout.reply_us == 10 * SECOND
    assert action.compensation is not None
    assert action.compensation.retry.maximum_attempts == 20
    assert action.compensation.timeout.reply_us == 30 * SECOND


def test_a_longer_first_interval_pulls_the_longest_one_along() -> None:
    found = definition(
        "saga: s\nsteps:\n  - step: a\n    call: p.c\n    compensate: none\n"
        "    retry: {initial_interval: 5m}\n    timeout: {total: 5s}\n"
    )
    assert call(found, "a").retry.maximum_interval_us == 300 * SECOND
    assert call(found, "a").timeout == Timeout(5 * SECOND, 5 * SECOND)


def test_steps_past_the_point_of_no_return_have_no_bound_whatever_the_defaults_say() -> None:
    found = definition(
        "saga: s\ndefaults: {retry: {maximum_attempts: 2, non_retryable_errors: [x]}, timeout: {total: 1m}}\nsteps:\n"
        "  - {step: a, call: p.c, kind: read_only}\n"
        "  - {step: b, call: p.c, kind: pivot}\n"
        "  - {step: c, call: p.c, kind: retriable}\n"
        "  - {step: d, call: p.c, kind: read_only}\n"
    )
    assert [call(found, name).retry.maximum_attempts for name in "abcd"] == [2, None, None, None]
    assert [call(found, name).timeout.total_us for name in "abcd"] == [60 * SECOND, None, None, None]
    assert call(found, "c").retry.non_retryable_errors == ()


def test_timers_waits_and_children_are_read() -> None:
    found = definition(
        "saga: s\nsteps:\n  - {step: a, sleep: 5m}\n"
        "  - {step: b, wait: {event: Paid, timeout: 1h}}\n  - {step: c, wait: {event: Paid}}\n"
        "  - {step: d, saga: other, version: 2, with: {x: 1}}\n"
    )
    assert found.steps[0].action == Sleep(300 * SECOND)
    assert found.steps[1].action == Wait("Paid", 3600 * SECOND, OnTimeout.FAIL, None)
    assert found.steps[2].action == Wait("Paid", None, OnTimeout.FAIL, None)


def test_quoted_scalars_are_texts_and_plain_ones_are_what_they_plainly_are() -> None:
    found = definition(
        "saga: s\nsteps:\n  - step: a\n    call: p.c\n    compensate: none\n"
        "    with: {a: 'no', b: \"010\", c: '12:30', d: 1, e: 1.50, f: true, g: null, h: -0.5e2, i: plain text, j: y}\n"
    )
    assert call(found, "a").payload.source == {
        "a": "no",
        "b": "010",
        "c": "12:30",
        "d": 1,
        "e": 1.5,
        "f": True,
        "g": None,
        "h": -50.0,
        "i": "plain text",
        "j": "y",
    }


def test_a_file_that_is_not_there_is_a_problem_like_any_other(tmp_path: Path) -> None:
    result = load_file(tmp_path / "none.yaml")
    assert isinstance(result, Problems)
    assert str(result).startswith(f"{tmp_path}/none.yaml:1:1: E100 the file cannot be read: No such file")
    assert isinstance(load_file(tmp_path), Problems)


def test_the_nearest_right_name_is_suggested() -> None:
    (line,) = problems("saga: s\nsteps:\n  - {step: a, call: p.c, compensate: none, retires: {}}\n")
    assert line.endswith('did you mean "retry"?')


def test_a_cycle_is_printed_as_a_path() -> None:
    text = "saga: s\nsteps:\n" + "".join(
        f"  - {{step: {name}, needs: [{need}], call: p.c, compensate: none}}\n"
        for name, need in [("a", "c"), ("b", "a"), ("c", "b")]
    )
    (line,) = problems(text)
    assert "a → b → c → a (c is at line 5)" in line


def test_both_ends_of_a_breach_are_named_with_their_lines() -> None:
    text = "saga: s\nsteps:\n  - {step: a, call: p.c, kind: pivot}\n  - {step: b, call: p.c, kind: pivot}\n"
    assert problems(text) == [
        "test.yaml:4:32: E206 b is a second pivot (a is at line 3); expected at most one pivot in a saga"
    ]


CATALOGUE = ParticipantCatalogue(
    {
        "order.create": CommandEntry(
            input={"type": "object", "properties": {"id": {}, "note": {}}, "required": ["id"]},
            result={"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
        ),
        "order.reject": CommandEntry(),
    }
)


@pytest.mark.parametrize(
    ("step", "warning"),
    [
        ("call: oder.create, with: {id: 1}, compensate: none", 'W303 unknown participant "oder"'),
        ("call: order.creat, with: {id: 1}, compensate: none", 'W303 order has no command "creat"'),
        ("call: order.create, with: {id: 1}, compensate: {call: order.undo}", 'W303 order has no command "undo"'),
        ("call: order.create, with: {id: 1, nte: 2}, compensate: none", 'W304 order.create takes no "nte"'),
        ("call: order.create, compensate: none", 'W304 order.create wants "id", which is not sent'),
    ],
)
def test_what_the_catalogue_does_not_know_is_a_warning(step: str, warning: str) -> None:
    result = loaded(f"saga: s\nsteps:\n  - {{step: a, {step}}}\n", CATALOGUE)
    assert len(result.warnings) == 1
    assert warning in str(result.warnings[0])


def test_without_a_catalogue_no_command_is_unknown() -> None:
    assert loaded("saga: s\nsteps:\n  - {step: a, call: any.thing, compensate: none}\n").warnings == ()


def test_a_path_into_a_declared_result_is_checked() -> None:
    text = (
        "saga: s\nsteps:\n  - {step: a, call: order.create, with: {id: 1}, compensate: none}\n"
        '  - {step: b, call: order.reject, with: {n: "${{ steps.a.result.nummer }}"}, compensate: none}\n'
    )
    result = load_text(text.encode(), "test.yaml", participants=CATALOGUE)
    assert str(result) == (
        'test.yaml:4:65: E231 steps.a.result has no field "nummer"; expected one of number; did you mean "number"?'
    )


def test_an_sla_that_cannot_warn_is_a_warning() -> None:
    result = loaded("saga: s\ntimeout: 1m\nsla: 1m\nsteps:\n  - {step: a, sleep: 1s}\n")
    assert [warning.code for warning in result.warnings] == ["W310"]


def test_neither_cel_nor_a_database_nor_a_broker_is_imported_for_plain_definitions() -> None:
    script = (
        "import sys; from saga_engine.definition.loader import load_file, Loaded\n"
        "assert isinstance(load_file('definitions/place_order.yaml'), Loaded)\n"
        "heavy = {'cel', 'sqlalchemy', 'nats', 'pydantic', 'click', 'psycopg'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_line_ends_of_windows_change_nothing() -> None:
    text = (ROOT / "definitions" / "place_order.yaml").read_text()
    assert definition(text.replace("\n", "\r\n")) == definition(text)


_FRAGMENTS = [
    "${{",
    "}}",
    "- ",
    ": ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "!!x ",
    "'",
    '"',
    "[",
    "{",
    "\t",
    "\x00",
    "|",
    "kind: pivot",
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*SOUND, *MALFORMED]), st.lists(st.tuples(st.floats(0, 1), st.sampled_from(_FRAGMENTS)), max_size=4)
)
def test_whatever_is_typed_into_a_definition_the_loader_answers(path: Path, edits: list[tuple[float, str]]) -> None:
    text = path.read_bytes()[:4_000]
    for place, fragment in edits:
        index = int(place * len(text))
        text = text[:index] + fragment.encode() + text[index:]
    result = load_text(text, "test.yaml")
    if isinstance(result, Problems):
        assert result.problems
        assert all(problem.line >= 1 and problem.column >= 1 for problem in result.problems)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_the_bytes_the_loader_answers(data: bytes) -> None:
    assert isinstance(load_text(data, "test.yaml"), Loaded | Problems)


@pytest.mark.parametrize(
    "step",
    [
        "wait: {event: Paid, timeout: 1h, on_timeout: continue}",
        "wait: {event: Paid}",
        "sleep: 5m",
        "call: p.c, kind: read_only",
        "call: p.c, kind: retriable",
    ],
)
def test_what_may_come_after_a_pivot(step: str) -> None:
    assert codes(f"saga: s\nsteps:\n  - {{step: a, call: p.c, kind: pivot}}\n  - {{step: b, {step}}}\n") == []


@pytest.mark.parametrize(
    "step",
    ["wait: {event: Paid, timeout: 1h}", "sleep: 5m", "call: p.c, kind: read_only", "call: p.c, compensate: none"],
)
def test_what_may_come_before_a_pivot(step: str) -> None:
    assert codes(f"saga: s\nsteps:\n  - {{step: a, {step}}}\n  - {{step: b, call: p.c, kind: pivot}}\n") == []


def test_a_read_only_step_may_be_parallel_to_the_pivot() -> None:
    pivot = "  - {step: a, call: p.c, kind: pivot}\n"
    assert codes(f"saga: s\nsteps:\n{pivot}  - {{step: b, needs: [], call: p.c, kind: read_only}}\n") == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_call_in_compensate", '"compensate" has no "call"'),
        ("unknown_key_in_compensate", 'in "compensate"; expected one of'),
        ("unknown_key_in_step", "in a step; expected one of"),
        ("list_and_mapping", "a key among the items of the list that begins in line 4"),
    ],
)
def test_a_mistake_is_told_in_the_words_of_the_language_and_not_of_the_parser(name: str, said: str) -> None:
    found = str(load_file(ROOT / "tests" / "corpus" / "malformed" / f"{name}.yaml"))
    assert said in found
    assert "<" not in found


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("- {step: a, cal: p.c, compensate: none}", 'did you mean "call"?'),
        ("- {step: a, call: p.c, compensat: none}", 'did you mean "compensate"?'),
        ("- {step: a, call: p.c, rollback: {call: p.u}}", 'did you mean "compensate"?'),
        ("- {name: a, call: p.c, compensate: none}", 'did you mean "step"?'),
        ("- {step: a, call: p.c, compensate: {cal: p.u}}", 'did you mean "call"?'),
        (
            "- {step: a, for_each: {in: [1], max_paralel: 2}, call: p.c, compensate: none}",
            'did you mean "max_parallel"?',
        ),
    ],
)
def test_a_misspelt_key_is_told_alone_with_what_was_meant_and_nothing_of_what_seems_to_be_missing(
    line: str, hint: str
) -> None:
    (found,) = problems(f"saga: s\nsteps:\n  {line}\n")
    assert ": E111 unknown key " in found
    assert found.endswith(hint)


def test_a_word_that_is_near_a_key_that_stands_there_too_is_only_unknown() -> None:
    text = "saga: s\nsteps:\n  - {step: a, call: p.c, cal: p.d, compensate: none}\n"
    (found,) = problems(text)
    assert ": E111 unknown key " in found
    assert found.endswith('did you mean "call"?')
