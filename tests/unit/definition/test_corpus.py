"""The corpora: a malformed file has exactly the problems that its first line names, a sound one loads."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from saga_engine.definition.loader import Loaded, load_file
from saga_engine.definition.problems import Problems
from tests.unit.definition.support import MALFORMED, QUICK_S, ROOT, SOUND


def test_the_corpora_are_there() -> None:
    assert len(MALFORMED) >= 350
    assert len(SOUND) >= 6


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_a_malformed_definition_is_refused_at_the_right_places(path: Path) -> None:
    expected = path.read_bytes().splitlines()[0].decode().removeprefix("# ").split(", ")
    start = time.process_time()
    result = load_file(path)
    took = time.process_time() - start
    assert isinstance(result, Problems)
    assert [f"{each.code} {each.line}:{each.column}" for each in result.problems] == expected
    assert took < QUICK_S


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_a_problem_is_one_line_that_a_terminal_can_show(path: Path) -> None:
    result = load_file(path)
    assert isinstance(result, Problems)
    for problem in result.problems:
        text = str(problem)
        assert text.isprintable()
        assert text.startswith(f"{path}:{problem.line}:{problem.column}: {problem.code} ")
        assert len(text) - len(str(path)) < 600


def test_the_corpus_covers_every_code_that_the_language_has() -> None:
    """A code that no file provokes is a rule that nobody has seen working."""
    seen = {code for path in MALFORMED for code in path.read_text("utf-8", "replace").splitlines()[0].split()}
    source = "".join(path.read_text() for path in (ROOT / "saga_engine" / "definition").glob("*.py"))
    raised = {word[1:5] for word in source.split() if word.startswith('"E') and word[2:5].isdecimal()}
    raised |= {part[:4] for part in source.split('"') if len(part) == 4 and part[0] == "E" and part[1:].isdecimal()}
    elsewhere = {
        *("E100", "E103", "E106"),  # no file, a huge one and an empty one: test_scan, test_loader
        "E216",  # needs a second definition: test_children
        *("E301", "E302", "E303", "E304", "E305", "E306", "E402", "E404"),  # inputs: test_inputs
    }
    assert raised - elsewhere <= seen
    assert len(raised) > 50


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_a_sound_definition_loads(path: Path) -> None:
    result = load_file(path)
    assert isinstance(result, Loaded), str(result)
