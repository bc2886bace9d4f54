"""The catalogue of commands: what is exported reads back, what is something else is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue, load_catalogue
from saga_engine.errors import UsageError


def test_what_is_exported_reads_back(tmp_path: Path) -> None:
    catalogue = ParticipantCatalogue(
        {"order.create": CommandEntry({"type": "object"}, {}, False), "payment.debit": CommandEntry()}
    )
    path = tmp_path / "participants.json"
    path.write_text(json.dumps(catalogue.to_json()))
    again = load_catalogue(path)
    assert again == catalogue
    assert again.participants() == {"order", "payment"}
    assert again.get("order", "create") == CommandEntry({"type": "object"}, {}, False)
    assert again.get("order", "cancel") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"order": {}}',
        '{"a.b.c": {}}',
        '{"a.b": []}',
        '{"a.b": {"inputs": {}}}',
        '{"a.b": {"input": []}}',
        '{"a.b": {"fenced": 1}}',
        '{"a.b": {"fenced": null}}',
    ],
)
def test_what_is_no_catalogue_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "participants.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"participants\.json"):
        load_catalogue(path)


def test_a_catalogue_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_catalogue(tmp_path / "none.json")
