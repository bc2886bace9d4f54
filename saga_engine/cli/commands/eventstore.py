"""`saga eventstore`: the event store as a gRPC service, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import click

from saga_engine.cli.early import noting_sigterm
from saga_engine.cli.frame import Frame, pass_frame


@click.command("eventstore")
@pass_frame
def eventstore(frame: Frame) -> None:
    """Serve the event store over gRPC.

    Where, and who may call, says the section `eventstore` of config.yaml. SIGTERM and Ctrl-C stop it after the calls
    that are under way.
    """
    with noting_sigterm() as noted:
        from saga_engine.bootstrap.eventstore import run_eventstore
        from saga_engine.cli.serving import serve_command

        serve_command(frame, noted, run_eventstore)
