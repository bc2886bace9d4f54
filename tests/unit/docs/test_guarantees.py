"""Every guarantee names tests, and each of them is there: a promise without a test is an opinion."""

from __future__ import annotations

import re

from tests.unit.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "explanation" / "guarantees.md").read_text(encoding="utf-8")
PROMISES = re.split(
    r"^(?=\*\*\d+\. )", PAGE.partition("## Guaranteed")[2].partition("## Not guaranteed")[0], flags=re.M
)[1:]


def test_every_guarantee_names_a_test_that_is_there() -> None:
    folders = (ROOT / "tests", ROOT / "saga_engine" / "testing")
    sources = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    known = set(re.findall(r"def (test_\w+)\(", sources))
    assert len(PROMISES) >= 10
    for promise in PROMISES:
        named = re.findall(r"`(test_\w+)`", promise)
        assert named, f"no test: {promise.splitlines()[0]}"
        assert [name for name in named if name not in known] == []


def test_every_command_that_shows_a_guarantee_is_there() -> None:
    rows = re.findall(r"^\| `(make|saga) ([\w-]+)", PAGE, flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    assert len(rows) >= 8
    assert [name for tool, name in rows if tool == "make" and f"\n{name}: " not in makefile] == []
    assert [name for tool, name in rows if tool == "saga" and f"### `saga {name}`" not in reference] == []


def test_guarantees_are_numbered_without_a_gap() -> None:
    for part in PAGE.split("\n## ")[1:]:
        numbers = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", part, flags=re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
