"""Progress of long work: a bar on stderr where that is a terminal, gone when the work is done; elsewhere nothing.

Owns when it is shown and how. Knows no work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar(Protocol):
    """What work reports to."""

    def report(self, told: str, done: float = 0, total: float | None = None) -> None:
        """How far it is, in words, and how much is done of how much (None: nobody knows)."""
        ...

    def note(self, line: str) -> None:
        """A line on stderr that stays."""
        ...


@contextmanager
def progress(label: str, *, beside_data: bool = False) -> Iterator[Bar]:
    """Show how far it is, and for how long it goes on. `label`: what is being done, until that is reported.

    `beside_data`: lines are printed on stdout meanwhile; then there is no bar where these go to a terminal as well.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or (beside_data and sys.stdout.isatty()):
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as shown:
        yield _Shown(shown, shown.add_task(label, total=None))


class _Silent:
    def report(self, told: str, done: float = 0, total: float | None = None) -> None:
        pass

    def note(self, line: str) -> None:
        click.echo(line, err=True)


@dataclass(frozen=True, slots=True)
class _Shown:
    shown: Progress
    task: TaskID

    def report(self, told: str, done: float = 0, total: float | None = None) -> None:
        self.shown.update(self.task, completed=done, total=total, description=told)

    def note(self, line: str) -> None:
        # Written past it, a line would stand in the middle of the bar.
        self.shown.console.print(line, markup=False, emoji=False, soft_wrap=True)
