"""`saga signal`: news from outside for sagas that wait for it, taken once per id."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import click

from saga_engine.cli.acting import perform
from saga_engine.cli.arguments import Words, read_json
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option
from saga_engine.cli.targets import Targets, target_options
from saga_engine.definition.model import Json
from saga_engine.definition.values import MAX_PAYLOAD, canonical_json
from saga_engine.errors import UsageError
from saga_engine.operating import signal_act

_MOST_ARGUMENTS: Final = 2


@click.command("signal")
@click.argument("who_and_what", metavar="[ID|KEY] EVENT", nargs=-1, required=True)
@click.option("--data", metavar="JSON|@FILE|-", default="null", help="What it says. Default: null.")
@click.option("--id", "signal_id", type=Words(), help="A signal is taken once per id. Default: a new one, printed.")
@target_options
@output_option
@pass_frame
def signal(
    frame: Frame,
    who_and_what: tuple[str, ...],
    data: str,
    signal_id: str | None,
    saga: str | None,
    statuses: tuple[str, ...],
    older_than: int | None,
    yes: bool,
    output: Format,
) -> None:
    """Tell a saga that something has happened.

    EVENT is what a `wait` step of the saga names; it may come before the saga waits. Repeated with the same --id it
    changes nothing.

    Without ID|KEY it is meant for all sagas that --saga, --status and --older-than find: they are shown, and with --yes
    they are told.
    """
    if len(who_and_what) > _MOST_ARGUMENTS:
        raise click.UsageError(f"expected [ID|KEY] EVENT, found {len(who_and_what)} arguments")
    *who, event = who_and_what
    targets = Targets(who[0] if who else None, saga, statuses, older_than, yes)
    said = _bounded(read_json("--data", data))
    taken_as = signal_id or str(uuid4())

    perform(frame, signal_act(taken_as, event, said), targets, output)


def _bounded(data: Json) -> Json:
    size = len(canonical_json(data))
    if size > MAX_PAYLOAD:
        raise UsageError(f"--data: E402 has {size:,} bytes, at most {MAX_PAYLOAD:,}")
    return data
