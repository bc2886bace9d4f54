"""Asks a person at a terminal to type how many are meant, before something is done to many. Nobody else is asked."""

from __future__ import annotations

import sys

import click


def confirmed(count: int, what: str) -> bool:
    """Whether a person has typed the count. False at once where nobody is at the keyboard, or nothing is meant.

    The count, not a `y`: who types it has read it.
    """
    if not count or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    answer: str = click.prompt(
        f"Type {count} to {what}, anything else to leave it", default="", show_default=False, err=True
    )
    return answer.strip() == str(count)
