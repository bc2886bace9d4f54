"""A picture on a terminal that is drawn again and again in the same place, out of lines of parts.

Owns when there may be one, and how parts become what the terminal library draws. Knows no saga.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from saga_engine.cli.output import Part, plain

if TYPE_CHECKING:
    from rich.text import Text

Lines: TypeAlias = Sequence[Sequence[Part]]
Draw: TypeAlias = Callable[[Callable[[int], Lines]], None]
"""Draws the lines that a function gives for the number of rows there are."""

_SPARE_ROWS = 2
"""Of the terminal: the cursor's own, and one so that nothing scrolls away."""


def can_redraw() -> bool:
    """Whether stdout is a terminal on which the cursor can be moved."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb", "unknown")


@contextmanager
def picture() -> Iterator[Draw]:
    """A picture, which is gone at the end. Too long lines are cut."""
    # Imported late, here and below: who watches in a pipe draws nothing.
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw(lines: Callable[[int], Lines]) -> None:
            fitting = lines(max(console.height - _SPARE_ROWS, 1))
            live.update(_text(fitting), refresh=True)

        yield draw


def _text(lines: Lines) -> Text:
    from rich.text import Text

    return Text("\n", no_wrap=True, overflow="ellipsis").join(_line(parts) for parts in lines)


def _line(parts: Iterable[Part]) -> Text:
    from rich.style import Style
    from rich.text import Text

    line = Text()
    for part in parts:
        if isinstance(part, str):
            line.append(plain(part))
        else:
            line.append(plain(part.text), Style(color=part.colour, bold=part.bold or None, dim=part.dim or None))
    return line
