"""The how-to pages: every block of Python that is no illustration runs as it stands, from the root of the repository.

Those that are the content of a file run as tests, in a project that has them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.docs.markdown import HOW_TO, ROOT, Block, blocks

PAGES = sorted(HOW_TO.glob("*.md"))
PYTHON = [block for page in PAGES for block in blocks(page) if block.language == "python"]
CODE = [block for block in PYTHON if not block.title and not block.illustration]
FILES = [block for block in PYTHON if block.title]


@pytest.mark.parametrize("block", CODE, ids=lambda block: block.place)
def test_the_python_of_a_page_runs_and_what_it_expects_holds(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, block.place, "exec", dont_inherit=True), {"__name__": "page"})


def test_the_test_files_of_the_pages_pass_in_a_project_that_has_them(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.yaml", tmp_path)
    for folder in ("definitions", "participants", "compensations", "store"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for block in FILES:
        file = tmp_path / block.title
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text, encoding="utf-8")
    # Whatever other `store` is on the import path comes second to a package.
    (tmp_path / "store" / "__init__.py").touch()
    told = sum(block.text.count("\ndef test_") for block in FILES)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert told >= 3
    assert f"{told} passed" in ran.stdout, ran.stdout + ran.stderr


def test_every_page_of_a_control_flow_shows_an_example_and_tests_it() -> None:
    shown = {page.name for page in PAGES if "<!-- generated: example " in page.read_text(encoding="utf-8")}
    tested = {block.page.name for block in CODE if "given(" in block.text}
    assert len(shown) >= 7
    assert shown <= tested


def test_every_example_is_shown_on_a_page() -> None:
    texts = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    examples: list[Path] = sorted((ROOT / "examples").glob("*.yaml"))
    assert len(examples) >= 7
    assert [each.stem for each in examples if f"<!-- generated: example {each.stem} -->" not in texts] == []
