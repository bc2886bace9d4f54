"""`saga graph`: a picture of a definition's steps, or of a saga's, coloured by how far each has come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from saga_engine.cli.files import meant_file
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.viewing import view_of
from saga_engine.errors import NotFoundError

if TYPE_CHECKING:
    from saga_engine.graph.picture import Picture


@click.command("graph")
@click.argument("what", metavar="FILE|ID|KEY")
@click.option(
    "-o", "--output", type=click.Choice(["mermaid", "svg"]), default="mermaid", show_default=True, help="The format."
)
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@pass_frame
def graph(frame: Frame, what: str, output: str, saga: str | None) -> None:
    """Draw the steps of a definition or of a saga: the way forward, and the way back.

    A FILE is drawn as it is written (child sagas are looked for beside it); a saga is coloured by how far its steps
    have come. A KEY finds its newest saga.
    """
    shown = _of_file(frame, Path(what)) if _names_a_file(what) else _of_saga(frame, what, saga)
    if output == "svg":
        from saga_engine.graph.svg import svg

        click.echo(svg(shown), nl=False)
    else:
        from saga_engine.graph.mermaid import mermaid

        click.echo(mermaid(shown), nl=False)


def _names_a_file(what: str) -> bool:
    # Not `Path.is_file`, which raises for a name that no file can have.
    return what.endswith((".yaml", ".yml")) or os.path.isfile(what)  # noqa: PTH113 - see above


def _of_file(frame: Frame, path: Path) -> Picture:
    from saga_engine.cli.whole import read_named
    from saga_engine.core.compiling import compile_plan
    from saga_engine.graph.picture import picture

    return picture(compile_plan(read_named(frame, path).definition))


def _of_saga(frame: Frame, id_or_key: str, saga: str | None) -> Picture:
    from saga_engine.bootstrap.stores import is_there
    from saga_engine.documents.saga import step_status
    from saga_engine.graph.picture import picture

    settings, meant = frame.settings(), meant_file(frame, id_or_key)
    if meant and not is_there(settings):
        raise NotFoundError(f"no saga was ever started here, and there is no file {id_or_key}; {meant}")
    with frame.client(settings) as client:
        try:
            view = view_of(client, id_or_key, saga)
        except NotFoundError as error:
            raise NotFoundError("; ".join(filter(None, (str(error), meant)))) from error
    statuses = {place: step_status(view.state, place) for place in view.plan.nodes}
    return picture(view.plan, statuses, str(view.state.status))
