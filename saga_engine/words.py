"""What people write for other people to read, a reason or a name: it stands in a stream for ever. Owns its bounds."""

from __future__ import annotations

from typing import Final

MOST_WORDS: Final = 1_000
"""Characters of it."""


def words_problem(text: str) -> str | None:
    """Why a text is not taken: it is empty, too long, or nothing that every store takes."""
    if not text.strip():
        return "is empty; say it in words"
    if len(text) > MOST_WORDS:
        return f"has {len(text):,} characters; at most {MOST_WORDS:,}"
    if any("\ud800" <= char <= "\udfff" or char == "\x00" for char in text):
        return "holds bytes that are no UTF-8 text"
    return None
