"""A rejection that proves nothing, in words: why the author of a saga finds a rejection counted as a failure.

Owns the wording alone. When a rejection is such a one is decided where it arrives: at the worker, and in `forward`.
"""

from __future__ import annotations

from typing import Final

MOST_CHARACTERS: Final = 1_000
"""Of the whole message: what is taken of a reply's, too."""
_WHY: Final = "it may have had an effect when tried before: the handler has no database to tell"


def in_doubt(message: str) -> str:
    """The rejection's own message, cut to make room, with the reason why it counts as failed."""
    if not message:
        return _WHY
    return f"{message[: MOST_CHARACTERS - len(_WHY) - 3]} ({_WHY})"
