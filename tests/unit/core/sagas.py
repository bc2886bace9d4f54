"""Small definitions that many tests of the core begin with."""

from __future__ import annotations

from typing import Final

HEAD: Final = "saga: trip\nversion: 1\n"


def saga(steps: str, top: str = "") -> str:
    """A definition of these steps, a line each in YAML's short form, with more keys at the top."""
    return f"{HEAD}{top}\nsteps:\n" + "".join(f"  - {{{line.strip()}}}\n" for line in steps.strip().splitlines())


BOOK: Final = saga(
    """
    step: flight, call: air.book, compensate: {call: air.cancel}
    step: hotel, call: inn.book, compensate: {call: inn.cancel}
    step: car, call: rent.book, compensate: {call: rent.cancel}
    """
)
"""Three compensatable steps, one after the other."""

QUICK: Final = "retry: {initial_interval: 1s, maximum_attempts: 3, jitter: none}"
"""Attempts after 0, 1 and 2 seconds more, without jitter."""

PIVOT: Final = saga(
    """
    step: reserve, call: stock.reserve, compensate: {call: stock.release}
    step: charge, call: card.charge, kind: pivot, retry: {initial_interval: 1s, jitter: none}
    step: ship, call: post.ship, kind: retriable, retry: {initial_interval: 1s, jitter: none}
    """
)

FAN: Final = saga(
    """
    step: open, call: p.open, compensate: {call: p.undo_open}
    step: left, needs: [open], call: p.left, compensate: {call: p.undo_left}
    step: right, needs: [open], call: p.right, compensate: {call: p.undo_right}
    step: join, needs: [left, right], call: p.join, compensate: {call: p.undo_join}
    """
)
"""Fans out behind `open`, and joins."""
