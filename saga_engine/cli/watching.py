"""Watching on a screen that suits: a picture where the cursor can be moved, lines elsewhere, JSON for programs.

Owns what is told when. How it looks is the views'; how often is looked, `following`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar
from uuid import UUID

import click

from saga_engine.cli.following import Look, looks
from saga_engine.cli.live import Lines, can_redraw, picture
from saga_engine.cli.output import Format, Part, Styled, plain, write, write_json, write_rows
from saga_engine.cli.overview import Overlooker, Overview
from saga_engine.cli.views.overview import overview_json, overview_line, overview_lines
from saga_engine.cli.views.saga import saga_heading, status_part
from saga_engine.cli.views.whole import happened_lines, saga_lines, state_lines
from saga_engine.cli.waiting import Timing
from saga_engine.documents.history import history_rows

if TYPE_CHECKING:
    from saga_engine.core.state import Status
    from saga_engine.orchestrator.client import Client, SagaView

T = TypeVar("T")
Tell: TypeAlias = Callable[[T], None]

_NEWEST: Final = 50
"""Sagas that are asked for with each look: as many as a high terminal has rows."""


def watch_one(client: Client, saga_id: UUID, interval: float, timing: Timing, output: Format) -> Status:
    """Tell of a saga until it has ended; its status then. Raises what the client raises, but for an outage."""

    def again(view: SagaView) -> SagaView:
        return client.view(saga_id) if client.status(saga_id).version > view.head.version else view

    def drawn(view: SagaView, rows: int) -> Lines:
        return _fitting(view, client.now, rows)

    reader = _Reader(output, client.now)
    with _screen(output, drawn, reader.tell) as tell:
        for look in looks(client.view(saga_id), again, interval, timing):
            tell(look)
            if look.seen.state.status.ended:
                break
    view = look.seen
    if output is Format.TEXT and can_redraw():
        for line in saga_lines(view, client.now, bars=True):
            write(line)
    elif output is Format.TEXT:
        write([f"{view.state.saga} {view.state.key} is ", status_part(view.state.status)])
    return view.state.status


def watch_all(client: Client, saga: str | None, interval: float, timing: Timing, output: Format) -> None:
    """Tell of all sagas, or those of a name, for ever. Raises what the client raises, but for an outage."""
    overlooker = Overlooker(client, saga, _NEWEST)
    before: list[list[Part]] = []

    def tell(overview: Overview) -> None:
        if output is Format.JSONL:
            write_json(overview_json(overview), output)
            return
        line = overview_line(overview)
        # Nothing happens for hours in many a log: what stays as it is need not be said again.
        if before != [line]:
            before[:] = [line]
            write(line)

    with _screen(output, overview_lines, tell) as show:
        for look in looks(overlooker.look(), lambda _: overlooker.look(), interval, timing):
            show(look)


@dataclass(slots=True)
class _Reader:
    """Tells of a saga what has not been told yet."""

    output: Format
    now: int
    told: int = 0

    def tell(self, view: SagaView) -> None:
        if self.output is Format.JSONL:
            write_rows(history_rows(view, after=self.told), self.output)
        else:
            for line in [*self._heading(view), *self._news(view)]:
                write(line)
        self.told = len(view.events)

    def _heading(self, view: SagaView) -> Lines:
        if self.told:
            return []
        return [*saga_heading(view.state, self.now, view.plan.definition.input_schema), []]

    def _news(self, view: SagaView) -> Lines:
        return happened_lines(view, after=self.told)


@contextmanager
def _screen(output: Format, drawn: Callable[[T, int], Lines], tell: Tell[T]) -> Iterator[Tell[Look[T]]]:
    """Where looks are shown: `drawn` again and again for a number of rows, or told line by line."""
    if output is not Format.TEXT or not can_redraw():
        yield _Log(tell).show
        return
    with picture() as draw:

        def show(look: Look[T]) -> None:
            note = [[Styled(_away(look.outage), "red")]] if look.outage is not None else []
            draw(lambda rows: [*note, *drawn(look.seen, rows - len(note))])

        yield show


@dataclass(slots=True)
class _Log(Generic[T]):
    """Line after line; that the store is away, and is back, stands on stderr, once for each outage."""

    tell: Tell[T]
    away: bool = field(default=False)

    def show(self, look: Look[T]) -> None:
        if look.outage is not None:
            if not self.away:
                click.echo(plain(_away(look.outage)), err=True)
            self.away = True
            return
        if self.away:
            click.echo("the database is back", err=True)
        self.away = False
        self.tell(look.seen)


def _away(reason: str) -> str:
    return f"the database is away, and is asked again: {reason}"


def _fitting(view: SagaView, now: int, rows: int) -> Lines:
    """How the saga is, and of what happened as much of the end as there is room for."""
    lines = state_lines(view, now, bars=True)
    left = rows - len(lines) - 1
    return [*lines, [], *happened_lines(view)[-left:]] if left > 0 else lines[:rows]
