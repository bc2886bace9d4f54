"""`saga watch`: one saga until it has ended, or all of them until Ctrl-C. Reads the store only."""

from __future__ import annotations

import time
from typing import Final

import click

from saga_engine.cli.arguments import Duration
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option
from saga_engine.core.state import Status

ENDED_OTHERWISE: Final = 5


@click.command("watch")
@click.argument("id_or_key", metavar="[ID|KEY]", required=False)
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key; else whose sagas to watch.")
@click.option("--interval", type=Duration(), default="500ms", show_default=True, help="How often to look.")
@output_option
@pass_frame
def watch(frame: Frame, id_or_key: str | None, saga: str | None, interval: int, output: Format) -> None:
    """Follow one saga to its end, or all of them.

    With ID|KEY: its timeline as it grows, until it has ended; exit code 5 when it ended compensated or closed. A
    blocked saga has not ended. With -o jsonl the events, as `saga history` prints them.

    Without: how many sagas start and end per second over the last ten seconds, how many are open and blocked, the
    newest ones; until Ctrl-C. With -o jsonl an object for each look.

    On a terminal it is a picture that is drawn again; piped, a line for each event or change. A database that is away
    is waited for. A look that takes long is repeated less often than --interval says.
    """
    if output is Format.JSON:
        raise click.UsageError("-o json is one document, and watching has no end: use -o jsonl")
    from saga_engine.cli.waiting import Timing
    from saga_engine.cli.watching import watch_all, watch_one

    timing = Timing(time.monotonic, time.sleep)
    with frame.client() as client:
        if id_or_key is None:
            watch_all(client, saga, interval / 1e6, timing, output)
            return
        status = watch_one(client, client.find(id_or_key, saga), interval / 1e6, timing, output)
    if status is not Status.COMPLETED:
        click.get_current_context().exit(ENDED_OTHERWISE)
