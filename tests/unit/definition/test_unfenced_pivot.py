"""A pivot is asked until its answer is definite, which a rejection of a handler without a database may never be."""

from __future__ import annotations

import pytest

from saga_engine.definition.catalogue import CommandEntry, ParticipantCatalogue
from saga_engine.definition.loader import Loaded, load_text


@pytest.mark.parametrize(
    ("step", "fenced", "codes"),
    [
        ("kind: pivot, call: till.pay", False, ["W306"]),
        ("kind: pivot, call: till.pay", True, []),
        ("kind: retriable, call: till.pay", False, []),
        ("call: till.pay, compensate: none", False, []),
        ("sleep: 5m", False, []),
    ],
)
def test_a_pivot_whose_handler_has_no_database_is_a_warning(step: str, fenced: bool, codes: list[str]) -> None:
    catalogue = ParticipantCatalogue({"till.pay": CommandEntry(fenced=fenced)})
    loaded = load_text(f"saga: s\nsteps:\n  - {{step: a, {step}}}\n".encode(), "s.yaml", participants=catalogue)
    assert isinstance(loaded, Loaded)
    assert [(one.code, one.line) for one in loaded.warnings] == [(code, 3) for code in codes]


def test_what_nobody_describes_is_taken_to_have_a_database() -> None:
    loaded = load_text(b"saga: s\nsteps:\n  - {step: a, kind: pivot, call: till.pay}\n", "s.yaml")
    assert isinstance(loaded, Loaded)
    assert loaded.warnings == ()
