"""The first line of every definition that a user may copy: it leads an editor to the JSON Schema of the language."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from saga_engine.definition.schema import language_schema
from tests.unit.docs.markdown import ROOT, Block, blocks, pages

MODELINE = "# yaml-language-server: $schema="
SHIPPED = sorted([*ROOT.glob("definitions/*.yaml"), *ROOT.glob("examples/*.yaml")])
SHOWN = [
    block
    for page in pages()
    if page.name != "errors.md"  # its definitions are wrong on purpose, and their positions are told
    for block in blocks(page)
    if block.language == "yaml" and any(line.startswith("saga: ") for line in block.text.splitlines())
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_definition_leads_to_the_schema_of_the_language(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MODELINE)
    schema = json.loads((path.parent / first.removeprefix(MODELINE)).read_text(encoding="utf-8"))
    assert schema == language_schema()
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_a_definition_on_a_page_begins_with_the_line_for_editors(block: Block) -> None:
    assert block.text.startswith(MODELINE)


def test_there_are_definitions_to_look_at() -> None:
    assert len(SHIPPED) >= 8
    assert len(SHOWN) >= 9
