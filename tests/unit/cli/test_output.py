"""How data is printed: nothing that could forge a terminal's picture, one line each, exact JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_engine.cli.output import (
    Format,
    Styled,
    brief_json,
    plain,
    rfc3339,
    write,
    write_json,
    write_rows,
    write_table,
)
from saga_engine.definition.model import Json


@given(st.text())
def test_plain_text_is_one_line_without_control_or_bidi_characters(text: str) -> None:
    shown = plain(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) <= 0x9F for c in shown)
    assert not set(shown) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@pytest.mark.parametrize("text", ["plain", "naïve café", "日本語", "a  b", "🙂", "{}[]<>%"])
def test_harmless_text_is_left_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_escape_sequences_in_data_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(["\x1b]0;title\x07", Styled("a\x1b[2Jb\nc", "red")])
    assert capsys.readouterr().out == "]0;titlea[2Jb c\n"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_output_is_exact_and_has_no_raw_control_character(value: object) -> None:
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", printed.append)
        write_json(value, Format.JSONL)  # type: ignore[arg-type]  # hypothesis's union is wider for the type checker
    assert json.loads(printed[0]) == value
    assert plain(printed[0]) == printed[0]


def test_rows_are_an_array_as_json_and_a_line_each_as_jsonl(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Json]] = [{"a": 1}, {"a": "x\ny"}]
    write_rows(rows, Format.JSON)
    assert json.loads(capsys.readouterr().out) == rows
    write_rows(rows, Format.JSONL)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows


def test_no_line_ends_in_blanks_that_only_pad_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("NAME", "WHAT"), [("a", Styled("", "red")), ("long name", "x  ")])
    write(["a", "  ", Styled("b  ", dim=True), "  "])
    write([])
    assert capsys.readouterr().out == "NAME       WHAT\na\nlong name  x\na  b\n\n"


def test_columns_are_aligned_also_with_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("KEY", "STATUS"), [("日本", Styled("running", "cyan")), ("order-1", "closed")])
    assert capsys.readouterr().out.splitlines() == ["KEY      STATUS", "日本     running", "order-1  closed"]


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (1_700_000_000_999_999, "2023-11-14T22:13:20.999999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(microseconds: int, text: str) -> None:
    assert rfc3339(microseconds) == text


def test_a_long_value_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert brief_json({"a": "x" * 500}, 20) == '{"a": "xxxxxxxxxxxx…'
    assert brief_json([1, "ü"], 20) == '[1, "ü"]'
