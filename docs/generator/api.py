"""The operations of the engine's HTTP API as a table, and its OpenAPI document as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from docs.generator.blocks import code, table
from saga_engine.api.app import ENGINE, VERSION
from saga_engine.api.openapi import document

OPENAPI: Final = Path(__file__).resolve().parents[1] / "reference" / "openapi.json"


def operations(_argument: str) -> str:
    """Every operation of the engine's own."""
    rows = [
        (code(f"{one.method} {one.path}"), ", ".join(str(status.value) for status in one.gives), one.summary)
        for one in ENGINE
    ]
    return table(("operation", "answers", "what it does"), rows)


def openapi() -> str:
    """The document as it is committed."""
    return json.dumps(document(ENGINE, "saga-engine", VERSION), indent=2, ensure_ascii=False) + "\n"
