"""The page of the Python API: whatever users are shown to import stands there, with its form and a text."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from docs.generator import python
from docs.generator.signatures import describe, exported
from tests.unit.docs.markdown import ROOT, blocks, pages

PAGE = ROOT / "docs" / "reference" / "python.md"
PROJECTS = (ROOT, ROOT / "saga_engine" / "scaffold" / "template")
FOLDERS = ("api", "compensations", "participants", "store", "tests")
PUBLIC = [(module, name) for modules in python.SURFACE.values() for module, names in modules.items() for name in names]
TOLD = list(python.described())


def _code() -> Iterator[tuple[str, str]]:
    """All Python that a user is shown, with its place: in documentation, in this project, and in a new one."""
    for page in pages():
        yield from ((one.place, one.text) for one in blocks(page) if one.language == "python" and not one.generated)
    for project in PROJECTS:
        folders = [project / folder for folder in FOLDERS if project is not ROOT or folder != "tests"]
        files = [*project.glob("*.py"), *(file for folder in folders for file in folder.rglob("*.py"))]
        yield from ((str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) for file in sorted(files))


def _imported(code: str) -> Iterator[tuple[str, str]]:
    """What is imported from the engine, as (module, name)."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("saga_engine"):
            yield from ((str(node.module), one.name) for one in node.names)


def _unlisted(imported: Sequence[tuple[str, str]]) -> list[str]:
    known = {module for module, _ in PUBLIC}
    return [
        f"{module}.{name}"
        for module, name in imported
        if (module, name) not in PUBLIC and f"{module}.{name}" not in known and module != python.EVENTS
    ]


def test_every_name_that_is_imported_anywhere_a_user_looks_is_on_the_page() -> None:
    imported = [(place, one) for place, code in _code() for one in _imported(code)]
    assert len({one for _, one in imported}) > 25
    unlisted = [(place, *_unlisted([one])) for place, one in imported if _unlisted([one])]
    assert unlisted == [], "list them in docs/generator/python.py, then run `make docs-reference`"


def test_an_import_of_something_that_is_not_public_would_be_noticed() -> None:
    code = "from saga_engine.participant import Participant\nfrom saga_engine.participant.fence import Fence\n"
    assert _unlisted(list(_imported(code))) == ["saga_engine.participant.fence.Fence"]


def test_every_public_name_has_its_heading_on_the_page_and_no_two_have_the_same() -> None:
    headings = [line.strip("# `") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]
    assert headings == [python.heading(module, name) for module, name in PUBLIC]
    assert len(set(headings)) == len(headings) > 60


def test_everything_that_a_package_offers_is_public() -> None:
    for module in ("saga_engine.participant", "saga_engine.projections", "saga_engine.api", "saga_engine.cli"):
        assert {name for offering, name in PUBLIC if offering == module} == set(exported(module))


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda part: part)
def test_a_public_name_can_be_imported(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


def test_every_public_name_and_every_member_says_what_it_is() -> None:
    silent = [f"{module}.{name}" for module, name, one in TOLD if not one.text]
    silent += [f"{module}.{name}.{member}" for module, name, one in TOLD for member, text in one.members if not text]
    assert silent == []


def test_forms_are_those_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made.py").write_text(
        '"""A module."""\n_NO = 1\n\n\n@dataclass\nclass Kept(Base):\n    """A text."""\n\n    size: int\n'
        "    own: str = field(default='x', repr=False)\n    known: list[int] = field(default_factory=list)\n\n"
        "    def __init__(self) -> None: ...\n\n    @property\n    def wide(self) -> bool:\n"
        '        """Whether it is."""\n\n    def _hidden(self) -> None: ...\n\n'
        "    async def take(self, one: int, /, *, far: str = 'a', why: int = _NO) -> None:\n        return None\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("docs.generator.signatures._ROOT", tmp_path)
    one = describe("made", "Kept")
    assert one.form.splitlines() == [
        "class Kept(Base):",
        "    size: int",
        "    known: list[int] = ...",
        "",
        "    def __init__(self) -> None: ...",
        "    @property",
        "    def wide(self) -> bool: ...",
        "    async def take(self, one: int, /, *, far: str = 'a', why: int = ...) -> None: ...",
    ]
    assert (one.text, one.members) == ("A text.", [("wide", "Whether it is."), ("take", "")])
    with pytest.raises(LookupError, match="made has no Lost"):
        describe("made", "Lost")
