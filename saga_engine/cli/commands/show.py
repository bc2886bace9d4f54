"""`saga show`: one saga: how it is, and what happened to it, as a timeline."""

from __future__ import annotations

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, output_option, write, write_json
from saga_engine.cli.views.saga import saga_heading, saga_json
from saga_engine.cli.views.timeline import timeline
from saga_engine.cli.views.waits import waits_json, waits_lines
from saga_engine.core.verbs import verbs_for
from saga_engine.core.waits import waits_for


@click.command("show")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def show(frame: Frame, id_or_key: str, saga: str | None, output: Format) -> None:
    """Show one saga: its steps and what happened.

    Also what it waits for, and which verbs are possible.

    A KEY finds its newest saga.
    """
    with frame.client() as client:
        view = client.view(client.find(id_or_key, saga))
        waits = waits_for(view.plan, view.state, client.now)
    if output is not Format.TEXT:
        ways = {"waits_for": waits_json(waits), "verbs": verbs_for(view.state.status)}
        write_json({**saga_json(view.state, list(view.plan.nodes)), **ways}, output)
        return
    emitted = {version: event.name for version, event in view.emitted.items()}
    for line in [*saga_heading(view.state), *waits_lines(waits, view.state), [], *timeline(view.events, emitted)]:
        write(line)
