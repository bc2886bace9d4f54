"""What may stand in a file at all, for inputs that no text file can hold: bytes, sizes, nothing."""

from __future__ import annotations

import time

import pytest

from saga_engine.definition.problems import Problem, Problems
from saga_engine.definition.scan import MAX_BYTES, MAX_STEPS, Scanned, scan
from tests.unit.definition.support import QUICK_S

STEP = "  - {step: a, call: p.c, compensate: none}\n"


def only(data: bytes) -> Problem:
    result = scan(data, "orders.yaml")
    assert isinstance(result, Problems)
    (problem,) = result.problems
    return problem


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"# nothing here\n", b"---\n", b"---\n...\n", b"\xef\xbb\xbf", b"   \n"]
)
def test_an_empty_file_is_refused_at_its_first_character(data: bytes) -> None:
    assert str(only(data)).startswith("orders.yaml:1:1: E106 the definition is empty")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"\xff\xfes\x00a\x00", "1:1"),
        (b"saga: s\nsummary: caf\xe9\n", "2:13"),
        (b"saga: s\r\nsummary: \xc3\x28\r\n", "2:10"),
        ("saga: s\nsummary: é".encode() + b"\x80", "2:11"),
        (b"saga: s\nsummary: \xed\xa0\x80\n", "2:10"),
    ],
)
def test_what_is_not_utf_8_is_refused_with_line_and_column(data: bytes, place: str) -> None:
    problem = only(data)
    assert (problem.code, f"{problem.line}:{problem.column}") == ("E108", place)


def test_a_raw_nul_is_refused_with_line_and_column() -> None:
    problem = only(b"saga: s\r\nsteps:\r\n  - \x00\r\n")
    assert (problem.code, problem.line, problem.column) == ("E108", 3, 5)


def test_a_byte_order_mark_at_the_start_moves_no_column() -> None:
    problem = only(b"\xef\xbb\xbfa: \x00")
    assert (problem.line, problem.column) == (1, 4)


def test_a_file_of_more_than_a_mebibyte_is_refused_unread() -> None:
    problem = only(b"\xff" * (MAX_BYTES + 1))
    assert str(problem) == "orders.yaml:1:1: E103 the file has 1,048,577 bytes; expected at most 1,048,576"


def test_twenty_thousand_steps_are_refused_quickly_at_the_first_too_many() -> None:
    text = "saga: s\nsteps:\n" + "".join(f"  - step: s{number}\n    call: p.c\n" for number in range(20_000))
    start = time.process_time()
    problem = only(text.encode())
    assert time.process_time() - start < QUICK_S
    assert (problem.code, problem.line, problem.column) == ("E103", 3 + 2 * MAX_STEPS, 5)


def test_a_thousand_steps_are_taken() -> None:
    assert isinstance(scan(("saga: s\nsteps:\n" + STEP * MAX_STEPS).encode(), "f"), Scanned)


def test_too_many_values_are_refused_wherever_they_stand() -> None:
    problem = only(("a: [" + "1," * 60_000 + "]").encode())
    assert (problem.code, problem.line) == ("E103", 1)
    assert "20,000" in str(problem)


def test_brackets_without_end_are_refused_at_the_thirty_third_level() -> None:
    start = time.process_time()
    problem = only(b"[" * 1_000_000)
    assert time.process_time() - start < QUICK_S
    assert (problem.code, problem.line, problem.column) == ("E102", 1, 33)


def test_thirty_two_levels_are_taken() -> None:
    assert isinstance(scan(b"[" * 32 + b"]" * 32, "f"), Scanned)


def test_all_that_is_wrong_with_single_values_is_reported_at_once() -> None:
    result = scan(b"a: 1\na: 2\nb: &x 1\nc: *x\nd: !!str 1\n", "f")
    assert isinstance(result, Scanned)
    assert [f"{each.code} {each.line}:{each.column}" for each in result.problems] == [
        "E114 2:1",
        "E101 3:4",
        "E101 4:4",
        "E104 5:4",
    ]
