"""Links: those within the repository lead somewhere from where they are read, those out of it to places that stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generator.links import STABLE, external, main, problem, written
from tests.unit.docs.markdown import ROOT, anchors, links

READ = [file for file in written() if file.suffix == ".md"]


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _broken(page: Path, root: Path = ROOT) -> list[str]:
    found = []
    for target in links(page):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or not file.is_relative_to(root):
            found.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(file):
            found.append(f"{target}: no such heading")
    return found


def test_everything_that_is_written_for_readers_is_looked_at() -> None:
    names = {_name(file) for file in written()}
    assert {"README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", ".github/pull_request_template.md"} <= names
    assert {".github/ISSUE_TEMPLATE/bug.yaml", "examples/participant-node/README.md", "docs/quickstart.md"} <= names


@pytest.mark.parametrize("page", READ, ids=_name)
def test_every_link_within_the_repository_leads_to_a_file_and_its_heading(page: Path) -> None:
    assert _broken(page) == []


def test_a_broken_link_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here\n\n[a](#here) [b](#there) [c](lost.md) [d](https://semver.org/)\n", encoding="utf-8")
    assert _broken(page, tmp_path) == ["#there: no such heading", "lost.md: no such file"]


def test_every_link_out_of_the_repository_leads_to_a_place_that_stays(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0, capsys.readouterr().out
    shown = capsys.readouterr().out
    assert [host for host in STABLE if f"https://{host}" not in shown] == []


def test_a_link_to_anywhere_else_would_be_noticed() -> None:
    text = "[a](https://semver.org/) <http://semver.org> [b](https://wiki.intern.example/x)\n[c]: https://semver.org:8080/\n"
    found = list(external(text))
    assert [problem(url) is None for url in found] == [True, False, False, False]
    assert list(external('url: "https://a.example/b"', yaml=True)) == ["https://a.example/b"]


def test_every_page_that_the_source_names_is_there() -> None:
    folders = [
        ROOT / name
        for name in ("api", "saga_engine", "participants", "compensations", "store", "definitions", "examples")
    ]
    files = [
        file for folder in folders for file in folder.rglob("*") if file.suffix in (".py", ".yaml", ".proto", ".mjs")
    ]
    named = {
        (name, _name(file))
        for file in files
        if "node_modules" not in file.parts
        for name in re.findall(r"\bdocs/[\w/-]+\.(?:md|json)", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 3
    assert [(name, file) for name, file in sorted(named) if not (ROOT / name).is_file()] == []
