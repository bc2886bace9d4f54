"""A compensation belongs to the participant that it undoes: only that inbox can refuse a command that is too late."""

from __future__ import annotations

import pytest

from saga_engine.definition.loader import Loaded, load_text


@pytest.mark.parametrize(
    ("compensate", "codes"),
    [("{call: order.reject}", []), ("{call: audit.note}", ["W305"]), ("none", [])],
)
def test_a_compensation_at_another_participant_is_a_warning(compensate: str, codes: list[str]) -> None:
    text = f"saga: s\nsteps:\n  - {{step: a, call: order.create, compensate: {compensate}}}\n"
    loaded = load_text(text.encode(), "s.yaml")
    assert isinstance(loaded, Loaded)
    assert [warning.code for warning in loaded.warnings] == codes
