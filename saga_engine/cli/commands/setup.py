"""`saga setup`: the tables of all databases, and the streams and consumers of the broker, in one go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Styled, output_option, write, write_json
from saga_engine.cli.progress import progress

if TYPE_CHECKING:
    from saga_engine.definition.model import Json


@click.command("setup")
@output_option
@pass_frame
def setup(frame: Frame, output: Format) -> None:
    """Set up the databases and the broker, once.

    Makes the databases that their servers do not have, where the login may, and says what an administrator is to run
    where it may not; then does what `saga db upgrade` and `saga nats provision` do, and says what was new. Safe to
    repeat, and from several processes at once.
    """
    from saga_engine.bootstrap.setup import make_databases, set_up_broker
    from saga_engine.cli.commands.db import project_databases, upgraded

    settings, found = project_databases(frame)
    made = make_databases(found)
    if output is Format.TEXT:
        for name in made:
            write([f"{name}: ", Styled("made the database", "green")])
    rows = upgraded(settings, found, output)
    with progress("setting up the broker"):
        broker = asyncio.run(set_up_broker(settings))
    if output is not Format.TEXT:
        told: dict[str, Json] = {"made": list(broker.made), "there": list(broker.there)}
        told |= {"participants": list(broker.parties.participants)}
        told |= {"event_subjects": list(broker.parties.event_subjects)}
        databases: list[Json] = [{**row, "made": row["database"] in made} for row in rows]
        write_json({"databases": databases, "nats": told}, output)
        return
    done = Styled(f"made {', '.join(broker.made)}", "green") if broker.made else "streams are there"
    write(["nats: ", done, f"; consumers for: {', '.join(broker.parties.participants) or 'no participant'}"])
