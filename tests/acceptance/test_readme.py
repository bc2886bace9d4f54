"""README and quickstart, followed to the letter by real processes in an empty folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_engine.bootstrap.definitions import load_definition
from saga_engine.definition.loader import Loaded, load_text
from saga_engine.definition.model import Call, Definition, Kind
from saga_engine.scaffold.create import create
from tests.acceptance.projects import REPOSITORY
from tests.acceptance.walkthrough import Walkthrough, settled, tools
from tests.unit.docs.markdown import OWN_SAGA, QUICKSTART, README, Block, blocks

SLOW_S = 300
"""A page is a dozen processes one after the other; its single commands have their own, shorter patience."""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Walkthrough]:
    """A reader in an empty folder who has installed the engine."""
    folder = tmp_path / "project"
    folder.mkdir()
    walkthrough = Walkthrough(folder, tools(tmp_path))
    yield walkthrough
    walkthrough.close()


def _readme(language: str) -> list[Block]:
    return [block for block in blocks(README) if block.language == language]


@pytest.mark.timeout(SLOW_S)
def test_the_quickstart_does_what_it_says_from_an_empty_folder(reader: Walkthrough) -> None:
    reader.follow(blocks(QUICKSTART))
    assert len(reader.done) >= 15
    assert sum(line.startswith("saga start") for line in reader.done) >= 6
    assert (reader.folder / ".saga" / "hotel.db").exists()


def test_the_page_about_a_saga_of_ones_own_extends_a_new_project(reader: Walkthrough) -> None:
    create(reader.folder)
    reader.follow(blocks(OWN_SAGA))
    assert len(reader.done) >= 4
    assert (reader.folder / "participants" / "mail.py").exists()


def test_every_block_of_readme_and_quickstart_is_followed_or_says_that_it_is_an_illustration() -> None:
    for block in [*blocks(README), *blocks(QUICKSTART)]:
        known = block.language in ("sh", "yaml", "python", "text") or not block.language
        assert known, f"{block.place}: nothing follows {block.language!r}"
    loose = [
        block.place
        for block in blocks(QUICKSTART)
        if not (block.title or block.illustration or block.language in ("sh", "text"))
    ]
    assert loose == []


@pytest.mark.timeout(SLOW_S)
def test_the_readme_does_what_it_says_with_its_own_saga_and_handler(reader: Walkthrough) -> None:
    """The project is this repository's, but with the definition and the handler that the README shows."""
    for name in ("participants", "compensations", "store"):
        shutil.copytree(REPOSITORY / name, reader.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("config.yaml", "cli.py"):
        shutil.copy(REPOSITORY / name, reader.folder)
    (definition,), (handler,) = _readme("yaml"), _readme("python")
    reader.write("definitions/place_order.yaml", definition.text)
    module = (REPOSITORY / "participants" / "payment.py").read_text(encoding="utf-8")
    imports = module.partition("payment = Participant")[0]
    models = "".join(re.findall(r"^class (?:Debit|Debited)\(.*?(?=^\S)", module, re.MULTILINE | re.DOTALL))
    reader.write("participants/payment.py", f"{imports}\n{models}\n{handler.text}")
    tools(reader.folder)
    reader.follow(_readme("sh"))
    assert any("start place_order" in line for line in reader.done)


def test_the_saga_that_the_readme_shows_is_the_projects_own_but_for_what_it_leaves_out() -> None:
    (shown,) = _readme("yaml")
    ours = load_text(shown.text.encode(), "README.md")
    own = load_definition(REPOSITORY / "definitions" / "place_order.yaml")
    assert isinstance(ours, Loaded), ours
    assert isinstance(own, Loaded), own
    assert (ours.definition.saga, ours.definition.version) == (own.definition.saga, own.definition.version)
    assert _calls(ours.definition) == _calls(own.definition)


def _calls(definition: Definition) -> list[tuple[str, str, Kind, str | None]]:
    """Which command each step sends, of which kind it is, and what compensates it."""
    calls = [(step.name, step.action) for step in definition.steps]
    return [
        (name, f"{call.participant}.{call.command}", call.kind, _compensates(call))
        for name, call in calls
        if isinstance(call, Call)
    ]


def _compensates(call: Call) -> str | None:
    it = call.compensation
    return None if it is None else f"{it.participant}.{it.command}"


def test_the_targets_of_make_that_the_pages_name_are_there() -> None:
    pages = (README, QUICKSTART, REPOSITORY / "CONTRIBUTING.md")
    texts = [page.read_text(encoding="utf-8") for page in pages]
    named = {target for text in texts for target in re.findall(r"(?:^ *|`)make ([a-z-]+)", text, re.MULTILINE)}
    assert {"demo", "test", "setup"} <= named
    for target in sorted(named):
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_what_a_page_prints_is_compared_but_for_ids_times_and_widths() -> None:
    seen = "o-1  01a2070e-6769-7000-ba6f-acf052c6ff29   2026-11-23T06:18:37.909262Z after 0.380 s"
    later = "o-1 01a2070e-0000-7000-ba6f-acf052c6ff29 2027-01-01T00:00:00.000000Z after 12.001 s\n"
    assert settled(seen) == settled(later) == settled(later.replace("12.001 s", "1 min 5 s"))
    assert settled(seen) != settled(later.replace("o-1", "o-2"))
