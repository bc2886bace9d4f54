"""`definitions/participants.json` says what the handlers of this project take and give."""

from __future__ import annotations

from pathlib import Path

from saga_engine.definition.catalogue import load_catalogue
from saga_engine.handlers import load_participants
from saga_engine.participant.catalogue import catalogue_of
from saga_engine.participant.registry import merge

ROOT = Path(__file__).resolve().parents[2]


def test_the_exported_catalogue_is_fresh() -> None:
    handlers = catalogue_of(merge(load_participants(ROOT)).values())
    shipped = load_catalogue(ROOT / "definitions" / "participants.json")
    assert shipped.to_json() == handlers.to_json(), "run `saga participants export`"
