"""`saga db`: creates and upgrades the project's databases, and tells how far each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, Part, Styled, output_option, plain, write, write_rows, write_table
from saga_engine.cli.progress import progress

if TYPE_CHECKING:
    from saga_engine.bootstrap.revisions import Belonging
    from saga_engine.databases import Database
    from saga_engine.settings.settled import Settings

_STATUS: Final = "Show which revision every database has, and revisions that no database gets."
_NONE_OF_ITS_OWN: Final = "no revisions of its own"


@click.command("upgrade")
@output_option
@pass_frame
def upgrade(frame: Frame, output: Format) -> None:
    """Bring every database to its newest revision.

    Safe to repeat, and from several processes at once.
    """
    settings, found = project_databases(frame)
    rows = upgraded(settings, found, output)
    if output is not Format.TEXT:
        write_rows(rows, output)


def upgraded(settings: Settings, found: Sequence[Database], output: Format) -> Sequence[Mapping[str, str | list[str]]]:
    """Upgrade these databases, each told as text when it is done; a row for each."""
    from saga_engine import databases
    from saga_engine.bootstrap.revisions import belonging
    from saga_engine.settings.shown import shown_url

    labels = belonging(settings, found)
    rows: list[dict[str, str | list[str]]] = []
    for number, one in enumerate(found, start=1):
        with progress(f"upgrading {one.branch}, database {number} of {len(found)}"):
            applied = list(databases.upgrade(settings, one))
        rows.append({"database": one.branch, "url": shown_url(one.url.get_secret_value()), "applied": applied})
        if output is Format.TEXT:
            done = Styled(f"applied {', '.join(applied)}", "green") if applied else "is up to date"
            write([f"{one.branch}: ", done, f"; {_NONE_OF_ITS_OWN}" if one.branch in labels.without else ""])
    _warn(labels)
    return rows


@click.command("status")
@output_option
@pass_frame
def status(frame: Frame, output: Format) -> None:
    """Show which revision every database has, and revisions that no database gets.

    Changes nothing.
    """
    from saga_engine import databases
    from saga_engine.bootstrap.revisions import belonging
    from saga_engine.settings.shown import shown_url

    settings, found = project_databases(frame)
    labels = belonging(settings, found)
    known = [(one.branch, shown_url(one.url.get_secret_value()), databases.status(settings, one)) for one in found]
    if output is Format.TEXT:
        rows = [
            (name, ", ".join(far.current) or "none", _pending(far.pending, name in labels.without), url)
            for name, url, far in known
        ]
        write_table(("DATABASE", "CURRENT", "PENDING", "URL"), rows)
    else:
        write_rows(
            [
                {"database": name, "url": url, "current": far.current, "head": far.head, "pending": far.pending}
                | {"own_revisions": name not in labels.without}
                for name, url, far in known
            ],
            output,
        )
    _warn(labels)


def project_databases(frame: Frame) -> tuple[Settings, list[Database]]:
    """All databases of the project, the event store's last."""
    from saga_engine.databases import databases, eventstore_databases
    from saga_engine.handlers import load_participants, load_projections
    from saga_engine.participant.registry import merge

    settings = frame.settings()
    frame.log()
    participants = merge(load_participants(settings.root)).values()
    projections = load_projections(settings.root).values()
    return settings, [*databases(settings, participants, projections), *eventstore_databases(settings)]


def _pending(revisions: tuple[str, ...], without: bool) -> Part:
    more = f"; {_NONE_OF_ITS_OWN}" if without else ""
    return Styled(", ".join(revisions) + more, "yellow") if revisions else Styled(f"none{more}", dim=True)


def _warn(labels: Belonging) -> None:
    """On stderr, in every format: it is about the project's files, and no row of a database."""
    for one in labels.nobodys:
        click.echo(f"Warning: {plain(one)}", err=True)


@lazy_group(
    "db",
    {
        "upgrade": Lazy(f"{__name__}:upgrade", "Bring every database to its newest revision."),
        "status": Lazy(f"{__name__}:status", _STATUS),
    },
)
def db() -> None:
    """Create and upgrade the project's databases."""
