"""`saga list`: one page of sagas, newest first."""

from __future__ import annotations

from uuid import UUID

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option, rfc3339, write_rows, write_table
from saga_engine.cli.views.saga import head_json, status_part
from saga_engine.core.state import Status
from saga_engine.ports import StreamFilter


@click.command("list")
@click.option("--saga", metavar="NAME", help="Only sagas of this definition.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([str(status) for status in Status]),
    help="Only sagas of this status; may be given several times.",
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.UUID, metavar="ID", help="Page on: only sagas older than this one.")
@output_option
@pass_frame
def list_sagas(
    frame: Frame, saga: str | None, statuses: tuple[str, ...], limit: int, before: UUID | None, output: Format
) -> None:
    """List sagas, newest first."""
    with frame.client() as client:
        heads = client.list(StreamFilter(saga, statuses, before, limit))
    if output is not Format.TEXT:
        write_rows([head_json(head) for head in heads], output)
        return
    if not heads:
        click.echo("No sagas found.", err=True)
        return
    rows = [
        (
            str(head.stream_id),
            head.saga,
            head.key,
            status_part(head.status),
            rfc3339(head.started_at),
            "" if head.ended_at is None else rfc3339(head.ended_at),
        )
        for head in heads
    ]
    write_table(("ID", "SAGA", "KEY", "STATUS", "STARTED", "ENDED"), rows)
    if len(heads) == limit:
        click.echo(f"There may be more: --before {heads[-1].stream_id}", err=True)
