"""Trouble of a handler itself, asked for by its command: fails once, or always, or refuses."""

from __future__ import annotations

from saga_engine.participant import Context, Rejected


class FailedOnPurposeError(Exception):
    """The handler does not know what became of its effect."""


def strike(ctx: Context, mood: object) -> None:
    """Raise as the command's `mood` wants it: `refuse`, `fail`, `fail_once`; anything else passes."""
    if mood == "refuse":
        raise Rejected("refused", "refused on purpose")
    if mood == "fail" or (mood == "fail_once" and ctx.attempt == 1):
        raise FailedOnPurposeError(f"attempt {ctx.attempt} fails on purpose")
