"""The definitions under `examples/`, as they stand in the how-to pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from docs.generator.blocks import fence

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> str:
    """One example, whole, with a link to its file."""
    text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
    return f"[`examples/{name}.yaml`](../../examples/{name}.yaml):\n\n{fence('yaml', text)}"
