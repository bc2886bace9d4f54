"""`saga show`: one saga: how it is, and what happened to it, as a timeline."""

from __future__ import annotations

import sys

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option, write, write_json
from saga_engine.cli.viewing import view_of
from saga_engine.cli.views.whole import saga_lines
from saga_engine.core.verbs import useful_verbs
from saga_engine.core.waits import waits_for
from saga_engine.documents.saga import saga_json
from saga_engine.documents.waits import waits_json


@click.command("show")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def show(frame: Frame, id_or_key: str, saga: str | None, output: Format) -> None:
    """Show one saga: its steps and what happened.

    First how it is, what it waits for and which verbs are possible; then its steps with how long each took, on a
    terminal with a bar of when; then every event.

    A KEY finds its newest saga.
    """
    with frame.client() as client:
        view = view_of(client, id_or_key, saga)
        now = client.now
    if output is not Format.TEXT:
        waits = waits_for(view.plan, view.state, now)
        ways = {"waits_for": waits_json(waits), "verbs": useful_verbs(view.plan, view.state)}
        write_json({**saga_json(view.state, list(view.plan.nodes)), **ways}, output)
        return
    for line in saga_lines(view, now, bars=sys.stdout.isatty()):
        write(line)
