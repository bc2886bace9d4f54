"""`saga list`: one page of sagas: the blocked ones first, which need somebody, then the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, output_option, rfc3339, write, write_rows, write_table
from saga_engine.cli.targets import filter_options, started_before
from saga_engine.cli.views.saga import head_json, status_part
from saga_engine.cli.views.waits import blocked_json, blocked_words
from saga_engine.core.state import Status
from saga_engine.core.verbs import verbs_for
from saga_engine.core.waits import AwaitedOperator, blocked_steps
from saga_engine.definition.model import Json
from saga_engine.envelope import StreamHead
from saga_engine.ports import StreamFilter

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client


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
        aged = started_before(client, older_than)
        heads = _page(client, StreamFilter(saga, statuses, _lower(before, aged), limit))
        blocked = {
            saga_id: blocked_steps(state)
            for saga_id, state in client.states(
                [head.stream_id for head in heads if head.status == Status.BLOCKED]
            ).items()
        }
    if output is not Format.TEXT:
        write_rows([_row(head, blocked) for head in heads], output)
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


def _lower(one: UUID | None, other: UUID | None) -> UUID | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)


def _page(client: Client, wanted: StreamFilter) -> Sequence[StreamHead]:
    """The page that is asked for; the first one of all sagas begins with those that are blocked."""
    if wanted.statuses or wanted.before is not None:
        return client.list(wanted)
    first = client.list(replace(wanted, statuses=(Status.BLOCKED,)))
    left = wanted.limit - len(first)
    if not left:
        return first
    seen = {head.stream_id for head in first}
    # As many as were seen may be met again; asked by status, no index would give them in order.
    others = client.list(wanted)
    return [*first, *[head for head in others if head.stream_id not in seen][:left]]


def _row(head: StreamHead, blocked: Mapping[UUID, Sequence[AwaitedOperator]]) -> Mapping[str, Json]:
    """A row; of a blocked saga also what blocks it and what can be done."""
    steps = blocked.get(head.stream_id)
    if steps is None:
        return head_json(head)
    return {
        **head_json(head),
        "blocked": [blocked_json(step) for step in steps],
        "verbs": verbs_for(Status(head.status)),
    }


def _columns(head: StreamHead) -> Sequence[Part]:
    return (
        str(head.stream_id),
        head.saga,
        head.key,
        status_part(head.status),
        rfc3339(head.started_at),
        "" if head.ended_at is None else rfc3339(head.ended_at),
    )
