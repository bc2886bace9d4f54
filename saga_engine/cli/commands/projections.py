"""`saga projections`: the read models of the project, how far they are behind, and making one anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import (
    Format,
    Part,
    Styled,
    output_option,
    rfc3339,
    write,
    write_json,
    write_rows,
    write_table,
)
from saga_engine.cli.progress import progress
from saga_engine.elapsed import elapsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saga_engine.definition.model import Json
    from saga_engine.projections.lag import Lag
    from saga_engine.projections.projection import Projection
    from saga_engine.projections.rebuild import Progress
    from saga_engine.settings.settled import Settings

FAILED: Final = 1
_NONE: Final = "No projections: a class that extends saga_engine.projections.Projection, in a module of store/, is one."


@click.command("list")
@output_option
@pass_frame
def list_projections(frame: Frame, output: Format) -> None:
    """List the projections: which sagas each follows, the events it takes in, and where it is kept."""
    from saga_engine.handlers import load_projections

    settings = frame.settings()
    rows = [_row(settings, one) for one in load_projections(settings.root).values()]
    if output is not Format.TEXT:
        write_rows(rows, output)
    elif not rows:
        click.echo(_NONE, err=True)
    else:
        columns = ("projection", "sagas", "events", "database", "class")
        cells = [tuple(_words(row[column]) for column in columns) for row in rows]
        write_table(tuple(column.upper() for column in columns), cells)


@click.command("lag")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_option
@pass_frame
def lag(frame: Frame, names: tuple[str, ...], output: Format) -> None:
    """Show how far projections are behind: in sagas, in events and in time.

    A saga whose next event cannot be taken in is held back, and listed with the reason; the others go on. Exit code 1
    when there is one. It looks at every saga once.
    """
    from saga_engine.bootstrap.projections import store_and_projections
    from saga_engine.projections.lag import lag_of

    with store_and_projections(frame.settings(), names) as opened, progress("comparing") as bar:
        found: list[Lag] = []
        for one in opened:
            name = one.taker.projection.name

            def report(looked: int, of: int, name: str = name) -> None:
                bar.report(f"{name}: {looked:,} of {of:,} sagas compared", looked, of)

            found.append(lag_of(one.store, one.taker, report))
        now = opened[0].store.now() if opened else 0
    _print_lag(found, now, output)
    if any(one.troubled for one in found):
        click.get_current_context().exit(FAILED)


@click.command("rebuild")
@click.argument("name", metavar="NAME")
@click.option("--at-once", is_flag=True, help="In one transaction: readers see the old one until it is done.")
@output_option
@pass_frame
def rebuild(frame: Frame, name: str, at_once: bool, output: Format) -> None:
    """Empty a projection and fill it again from the events, from the beginning.

    It is filled in steps: readers see it grow, newest sagas first, and `saga projections lag` shows how far it is.
    With --at-once they see the old one until the new one is there; for some hundred thousand sagas at most, since the
    database keeps both until then. Those who follow it need not be stopped. Exit code 1 when sagas are held back.
    """
    from saga_engine.bootstrap.projections import store_and_projections
    from saga_engine.projections.rebuild import rebuild_at_once, rebuild_in_steps

    settings = frame.settings()
    frame.log()
    with store_and_projections(settings, [name]) as (one,), progress(f"rebuilding {name}") as bar:

        def report(done: Progress) -> None:
            bar.report(f"{name}: {done.looked:,} of {done.of:,} sagas, {done.events:,} events", done.looked, done.of)

        way = rebuild_at_once if at_once else rebuild_in_steps
        done = way(one.store, one.taker, one.unseen, report)
    if output is Format.TEXT:
        held = Styled(f"; {done.troubled:,} held back: saga projections lag {name}", "yellow") if done.troubled else ""
        write([f"{name}: rebuilt from {done.events:,} events of {done.looked:,} sagas", held])
    else:
        told: Json = {
            "projection": name,
            "sagas": done.looked,
            "events": done.events,
            "held_back": done.troubled,
        }
        write_json(told, output)
    if done.troubled:
        click.get_current_context().exit(FAILED)


@lazy_group(
    "projections",
    {
        "list": Lazy(
            f"{__name__}:list_projections",
            "List the projections: which sagas each follows, the events it takes in, and where it is kept.",
        ),
        "lag": Lazy(f"{__name__}:lag", "Show how far projections are behind."),
        "rebuild": Lazy(f"{__name__}:rebuild", "Empty a projection and fill it again from the events."),
    },
)
def projections() -> None:
    """List projections, show how far they are behind, and rebuild one."""


def _row(settings: Settings, projection: type[Projection]) -> dict[str, Json]:
    from saga_engine.settings.shown import shown_url

    return {
        "projection": projection.name,
        "sagas": list(projection.sagas),
        "events": list(projection.handled_events()),
        "tables": sorted(projection.tables.tables),
        "database": shown_url(settings.projection(projection.name).database.get_secret_value()),
        "class": projection.defined_at.removeprefix(f"{Path.cwd()}{os.sep}"),
    }


def _words(value: Json) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "all"
    return str(value)


def _print_lag(found: Sequence[Lag], now: int, output: Format) -> None:
    if output is not Format.TEXT:
        write_rows([_lag_json(one, now) for one in found], output)
        return
    if not found:
        click.echo(_NONE, err=True)
        return
    header = ("PROJECTION", "SAGAS", "BEHIND", "EVENTS", "LAG", "HELD BACK")
    write_table(header, [_lag_row(one, now) for one in found])
    for one in found:
        for held in one.held_back:
            write([Styled(f"{one.projection}: {held.saga} {held.key}", bold=True), f" {held.version}: {held.reason}"])


def _lag_row(one: Lag, now: int) -> tuple[Part, ...]:
    held: Part = Styled(f"{one.troubled:,}", "red") if one.troubled else "0"
    return one.projection, f"{one.sagas:,}", f"{one.behind:,}", f"{one.events:,}", elapsed(_lag_us(one, now)), held


def _lag_json(one: Lag, now: int) -> dict[str, Json]:
    return {
        "projection": one.projection,
        "sagas": one.sagas,
        "behind": one.behind,
        "events": one.events,
        "seconds": _lag_us(one, now) / 1_000_000,
        "oldest": None if one.oldest is None else rfc3339(one.oldest),
        "held_back": one.troubled,
        "reasons": [
            {"saga": held.saga, "key": held.key, "version": held.version, "reason": held.reason}
            for held in one.held_back
        ],
    }


def _lag_us(one: Lag, now: int) -> int:
    return 0 if one.oldest is None else max(0, now - one.oldest)
