"""Every page: its blocks are what they say, its pictures are there, and it gives nothing away."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import pytest

from saga_engine.definition.loader import Loaded, load_text
from tests.unit.docs.markdown import ROOT, blocks, images, links, pages

LANGUAGES = {"sh", "sql", "text", "yaml", "python", "json", "mermaid", ""}


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_picture_is_there_and_has_words_in_its_place(page: Path) -> None:
    found = [(alt, (page.parent / target).resolve()) for alt, target in images(page) if "://" not in target]
    assert [str(file) for alt, file in found if not file.exists() or len(alt) < 20] == []


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_block_of_yaml_json_and_python_is_sound_or_an_illustration(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block.place}: which language is {block.language!r}?"
        if block.illustration:
            continue
        if block.language == "yaml" and re.search("^saga: ", block.text, re.MULTILINE):
            loaded = load_text(block.text.encode(), block.place)
            assert isinstance(loaded, Loaded), str(loaded)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "python":
            compile(block.text, block.place, "exec")


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_no_page_names_a_path_of_one_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    machine = (ROOT, ROOT.parent, Path.home(), Path(tempfile.gettempdir()))
    assert [str(place) for place in machine if f"{place}/" in text] == []


def test_the_readme_is_short_and_says_first_how_to_try_and_how_to_test() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert 100 <= len(lines) <= 180
    assert {"make demo", "make test"} <= {line.partition("  ")[0] for line in lines[:45]}


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_file_of_the_repository_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(
        r"`((?:[\w-]+/)+[\w.-]+\.(?:py|yaml|yml|json|proto|mjs|toml))`", page.read_text(encoding="utf-8")
    )
    folders = (ROOT, ROOT / "saga_engine", page.parent)
    written = {block.title for block in blocks(page)}  # by the reader, while following the page
    missing = [name for name in named if not any((folder / name).is_file() for folder in folders)]
    assert set(missing) - written == set()


def test_every_page_under_docs_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        found = [(page.parent / target.partition("#")[0]).resolve() for target in links(page) if "://" not in target]
        waiting += [each for target in found for each in (sorted(target.glob("*.md")) if target.is_dir() else [target])]
    assert set(pages()) - reached == set()
