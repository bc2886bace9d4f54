"""A number of things, as people read it."""

from __future__ import annotations


def several(number: int, noun: str) -> str:
    """`1 saga`, `2,000 sagas`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
