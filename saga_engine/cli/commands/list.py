"""`saga list`: one page of sagas: the blocked ones first, which need somebody, then the newest."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, output_option, rfc3339, write, write_rows, write_table
from saga_engine.cli.targets import filter_options
from saga_engine.cli.views.saga import status_part
from saga_engine.cli.views.waits import blocked_words
from saga_engine.core.state import Status
from saga_engine.envelope import StreamHead
from saga_engine.listing import listed
from saga_engine.ports.store import StreamFilter


@click.command("list")
@click.option("--saga", metavar="NAME", help="Filter: only sagas of this definition.")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.UUID, metavar="ID", help="Page on: only sagas older than this one.")
@output_option
@pass_frame
def list_sagas(
    frame: Frame,
    saga: str | None,
    statuses: tuple[str, ...],
    older_than: int | None,
    limit: int,
    before: UUID | None,
    output: Format,
) -> None:
    """List sagas, newest first.

    Without --status, --older-than and --before, blocked sagas come before all others. Each is shown with its last error
    and what to do next.
    """
    with frame.client() as client:
        found = listed(client, StreamFilter(saga, statuses, before, limit), older_than)
    heads, blocked = found.heads, found.blocked
    if output is not Format.TEXT:
        write_rows(found.rows(), output)
        return
    if not heads:
        click.echo("No sagas found.", err=True)
        return
    write_table(("ID", "SAGA", "KEY", "STATUS", "STARTED", "ENDED"), [_columns(head) for head in heads])
    for head in heads:
        if head.stream_id in blocked:
            words = blocked_words(blocked[head.stream_id], head.key)
            write([Styled("blocked ", "red"), f"{head.saga} {head.key}: {words}"])
    if len(heads) == limit:
        only = " --status blocked" if not statuses and heads[-1].status == Status.BLOCKED else ""
        click.echo(f"There may be more:{only} --before {heads[-1].stream_id}", err=True)


def _columns(head: StreamHead) -> Sequence[Part]:
    return (
        str(head.stream_id),
        head.saga,
        head.key,
        status_part(head.status),
        rfc3339(head.started_at),
        "" if head.ended_at is None else rfc3339(head.ended_at),
    )
