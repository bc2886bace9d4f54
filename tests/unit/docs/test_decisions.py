"""What was decided stands where it says: a page for each decision, a line for each dependency, layers as enforced."""

from __future__ import annotations

import re
import tomllib
from typing import cast

from tests.unit.docs.markdown import ROOT

DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _dependencies() -> dict[str, str]:
    """Every dependency of the project, with where it is declared."""
    groups = {
        "dependencies": PROJECT["project"]["dependencies"],
        **PROJECT["project"]["optional-dependencies"],
        **PROJECT["dependency-groups"],
    }
    return {re.split(r"[\[<>=;~! ]", one)[0]: group for group, named in groups.items() for one in named}


def _missing(text: str) -> list[str]:
    return [name for name in _dependencies() if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is None]


def test_every_dependency_has_its_line_in_the_first_decision() -> None:
    text = DECISIONS[0].read_text(encoding="utf-8")
    assert len(_dependencies()) > 40
    assert _missing(text) == []
    assert _missing(text.replace("tenacity", "")) == ["tenacity"]


def test_every_extra_says_why_it_is_not_for_all() -> None:
    text = DECISIONS[0].read_text(encoding="utf-8")
    assert re.findall(r"^\| `\[(\w+)\]` \|", text, re.MULTILINE) == sorted(PROJECT["project"]["optional-dependencies"])


def test_decisions_are_numbered_without_a_gap_and_say_when_and_in_which_state() -> None:
    for number, page in enumerate(DECISIONS, start=1):
        assert page.name.startswith(f"{number:04}-")
        head = page.read_text(encoding="utf-8").split("\n", 4)
        assert head[0].startswith(f"# {number}. ")
        assert re.fullmatch(r"Date: 20\d\d-\d\d-\d\d\. State: (accepted|replaced by \d+)\.", head[2]), page.name


def test_the_layers_of_the_architecture_are_those_that_are_enforced() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    shown = page.partition("```text illustration=")[2].partition("```")[0].splitlines()[1:]
    layers = cast(list[str], PROJECT["tool"]["importlinter"]["contracts"][0]["layers"])
    assert len(shown) == len(layers)
    for line, layer in zip(shown, layers, strict=True):
        names = re.findall(r"saga_engine\.([\w.]+)", layer)
        assert set(line.partition("   ")[0].split("  ")) == set(names), line
