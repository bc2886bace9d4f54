"""The reference is complete and fresh: what can be said to the engine, or by it, stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generator import cli, config, errors, events, language
from docs.generator.blocks import replace_blocks
from docs.generator.pages import DOCS, generated_pages, refreshed

REFERENCE = DOCS / "reference"


def _metric_names() -> list[str]:
    """The metrics that the source of the engine's metrics names."""
    source = "".join(
        path.read_text(encoding="utf-8") for path in (DOCS.parent / "saga_engine" / "metrics").glob("*.py")
    )
    return sorted(set(re.findall(r'"(saga_engine_[a-z_]+)"', source)))


@pytest.mark.parametrize("page", generated_pages(), ids=lambda page: page.name)
def test_a_generated_page_is_fresh(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == refreshed(page), "run `make docs-reference`"


def test_a_stale_block_would_be_noticed_and_what_is_written_by_hand_stays() -> None:
    page = "# Title\n\n<!-- generated: cli -->\n\nold\n\n<!-- /generated -->\n\nby hand\n"
    fresh = replace_blocks(page, lambda name, _argument: f"new {name}")
    assert fresh == "# Title\n\n<!-- generated: cli -->\n\nnew cli\n\n<!-- /generated -->\n\nby hand\n"
    assert replace_blocks(fresh, lambda name, _argument: f"new {name}") == fresh


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("cli.md", [f"`{path}`" for path in cli.command_paths()]),
        ("config.md", [f"`{key}`" for key in config.places()]),
        ("events.md", [f"**{name}**" for name in events.event_names()]),
        ("language.md", [f"`{key}`" for key in sorted(language.all_keys())]),
        ("errors.md", [f"### {code}" for code in errors.known_codes()]),
        ("metrics.md", [f"`{name}`" for name in _metric_names()]),
    ],
    ids=["commands", "settings", "events", "keys", "codes", "metrics"],
)
def test_everything_that_there_is_stands_in_the_reference(page: str, words: list[str]) -> None:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    assert len(words) > 5
    assert [word for word in words if word not in text] == []


def test_every_part_of_the_language_has_its_table() -> None:
    text = (REFERENCE / "language.md").read_text(encoding="utf-8")
    assert [place for place in language.places() if f"<!-- generated: keys {place} -->" not in text] == []
