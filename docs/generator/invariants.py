"""The table of invariants, from the checkers themselves.

Owns who checks what, told from what each can know: a store alone, or all that a test records.
"""

from __future__ import annotations

from docs.generator.blocks import table
from saga_engine.audit.check import numbers, texts
from saga_engine.audit.rows import SECTIONS


def listed(group: str) -> str:
    """The invariants of one group (`A` to `E`)."""
    rows = [(number, " ".join(texts(number)), _checked_by(number)) for number in numbers() if number.startswith(group)]
    return table(("number", "invariant", "checked by"), rows)


def _checked_by(number: str) -> str:
    """An audit sees stored rows, the tests see everything: some of what they check of a number, an audit cannot."""
    known = len(texts(number, SECTIONS))
    if not known:
        return "simulation, chaos"
    return "audit, simulation, chaos" if known == len(texts(number)) else "audit in part, simulation, chaos"
