"""How long a stream may become, and what stops it before it does.

Owns the figures. A saga at its limit is still operable: what bounds it is decided where steps go forward and back.
"""

from __future__ import annotations

from typing import Final

MANY_EVENTS: Final = 2_000
"""From here on a saga is warned about, once."""

SIGNAL_EVENTS: Final = 9_000
"""From here on signals are refused: the rest is the saga's own."""

MOST_EVENTS: Final = 10_000
"""From here on a saga goes forward no more.

It is compensated or, past the point of no return, blocks at the next failed attempt. What it takes to end is always
possible.
"""

MOST_ITEMS: Final = 1_000
"""Of one `for_each`: the same as of steps in a definition."""

TOO_MANY_EVENTS: Final = "too_many_events"


def too_long(version: int) -> str:
    """What is wrong with a saga of so many events, for people."""
    return f"the saga has {version:,} events, and goes forward up to {MOST_EVENTS:,}"
