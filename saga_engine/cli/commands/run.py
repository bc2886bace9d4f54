"""`saga run`: the orchestrator, the project's workers and its projections, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import click

from saga_engine.cli.early import noting_sigterm
from saga_engine.cli.frame import Frame, pass_frame


@click.command("run")
@click.option("--orchestrator", is_flag=True, help="Only the orchestrator, unless others are named too.")
@click.option(
    "--worker", "workers", multiple=True, metavar="NAME", help="Only this worker; may be given several times."
)
@click.option(
    "--projection",
    "projections",
    multiple=True,
    metavar="NAME",
    help="Only this projection; may be given several times.",
)
@pass_frame
def run(frame: Frame, orchestrator: bool, workers: tuple[str, ...], projections: tuple[str, ...]) -> None:
    """Run the orchestrator, the project's workers and its projections.

    Without an option, all of them in this process. SIGTERM and Ctrl-C stop it after what is under way; a second one at
    once.
    """
    with noting_sigterm() as noted:
        from saga_engine.bootstrap.services import Roles
        from saga_engine.bootstrap.services import run as run_services
        from saga_engine.cli.serving import serve_command

        roles = Roles()
        if orchestrator or workers or projections:
            roles = Roles(orchestrator, workers, projections)
        serve_command(frame, noted, lambda settings, stop, ready: run_services(settings, roles, stop, ready))
