"""The how-to pages: every block of Python runs as it stands, from the root of the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.docs.markdown import ROOT, Block, blocks

HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
CODE = [block for page in HOW_TO for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("block", CODE, ids=lambda block: block.place)
def test_the_python_of_a_page_runs_and_what_it_expects_holds(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, block.place, "exec", dont_inherit=True), {"__name__": "page"})


def test_every_page_of_a_control_flow_shows_an_example_and_tests_it() -> None:
    shown = {page.name for page in HOW_TO if "<!-- generated: example " in page.read_text(encoding="utf-8")}
    tested = {block.page.name for block in CODE if "given(" in block.text}
    assert len(shown) >= 7
    assert shown <= tested


def test_every_example_is_shown_on_a_page() -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in HOW_TO)
    examples: list[Path] = sorted((ROOT / "examples").glob("*.yaml"))
    assert len(examples) >= 7
    assert [each.stem for each in examples if f"<!-- generated: example {each.stem} -->" not in texts] == []
