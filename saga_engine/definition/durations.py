"""Durations as text: an integer and one of ms, s, m, h, d; in the engine they are integer microseconds.

Owns the notation of the language and of the CLI. Knows nothing about where a duration is used.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_US: Final = 36_500 * 86_400_000_000
"""A hundred years: longer is a slip of the finger, and beyond 292,000 years a database integer overflows."""

EXPECTED: Final = "a duration: an integer and ms, s, m, h or d, such as 30s"

_UNITS: Final = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_FORM: Final = re.compile(r"(0|[1-9][0-9]{0,17})(ms|s|m|h|d)", re.ASCII)


def parse_duration(text: str) -> int | None:
    """Microseconds of `15m`, `500ms`, ...; None when the text is no duration or is longer than a hundred years."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    microseconds = int(match[1]) * _UNITS[match[2]]
    return microseconds if microseconds <= LONGEST_US else None


def format_duration(microseconds: int) -> str:
    """The text in the largest unit that divides it. Raises ValueError for what the notation cannot say (below 1 ms)."""
    if microseconds < 0 or microseconds % _UNITS["ms"]:
        raise ValueError(f"{microseconds} microseconds are not a whole, non-negative number of milliseconds")
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if microseconds % _UNITS[unit] == 0)
    return f"{microseconds // _UNITS[unit]}{unit}" if microseconds else "0s"
