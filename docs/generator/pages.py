"""Which page has which generated blocks, and what writes each of them.

Owns the table of block names. What a block says is its module's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import report
from docs.generator import api, cli, config, errors, events, examples, invariants, language, metrics, python, states
from docs.generator.blocks import has_blocks, replace_blocks
from tests.simulation.bugs import kept

DOCS: Final = Path(__file__).resolve().parents[1]

BLOCKS: Final[Mapping[str, Callable[[str], str]]] = {
    "api": api.operations,
    "benchmark": report.block,
    "bugs": kept.block,
    "cli": cli.commands,
    "config": config.settings,
    "errors": errors.codes,
    "events": events.facts,
    "example": examples.example,
    "invariants": invariants.listed,
    "keys": language.keys,
    "metrics": metrics.listed,
    "python": python.names,
    "states": states.diagram,
    "statuses": states.statuses,
    "verbs": states.verbs,
}


def generated_pages() -> Sequence[Path]:
    """The pages that have generated blocks."""
    return [page for page in sorted(DOCS.rglob("*.md")) if has_blocks(page.read_text(encoding="utf-8"))]


def refreshed(page: Path) -> str:
    """The page as it should be. Raises KeyError for a block that nothing writes."""
    return replace_blocks(page.read_text(encoding="utf-8"), lambda name, argument: BLOCKS[name](argument))
