"""`saga nats`: what the project needs on its broker."""

from __future__ import annotations

import asyncio
from typing import Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, output_option, write, write_json

_HERE: Final = "saga_engine.cli.commands.nats"


@click.command("provision")
@output_option
@pass_frame
def provision(frame: Frame, output: Format) -> None:
    """Make the streams and consumers, for those who run with nats.provision=false.

    Safe to repeat: after a new participant, a new subject of an event, or a wiped server. Run it as the user `deploy`
    of `saga auth export`.
    """
    from saga_engine.bootstrap.access import provision as make

    settings = frame.settings()
    frame.log()
    made = asyncio.run(make(settings))
    if output is Format.TEXT:
        write([f"Streams and consumers are there, for: {', '.join(made.participants) or 'no participant'}."])
    else:
        write_json({"participants": list(made.participants), "event_subjects": list(made.event_subjects)}, output)


@lazy_group("nats", {"provision": Lazy(f"{_HERE}:provision", "Make the streams and consumers.")})
def nats() -> None:
    """Make what the project needs on its broker."""
