"""`saga auth`: who needs to be let in where, as the servers read it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, plain, write_json

_HERE: Final = "saga_engine.cli.commands.auth"


class Server(StrEnum):
    """For which server, or for a program."""

    NATS = "nats"
    SQL = "sql"
    JSON = "json"


@click.command("export")
@click.option("--participant", metavar="NAME", help="Only what the workers of this participant need.")
@click.option("--all", "everything", is_flag=True, help="All users and roles. The default.")
@click.option(
    "--format",
    "server",
    type=click.Choice([str(one) for one in Server]),
    default=str(Server.NATS),
    show_default=True,
    callback=lambda _ctx, _param, value: Server(value),
    help="A configuration fragment of nats-server, GRANT statements, or both as JSON.",
)
@pass_frame
def export(frame: Frame, participant: str | None, everything: bool, server: Server) -> None:
    """Print the least that each role must be allowed, for nats-server and for the databases.

    The roles are the orchestrator, the HTTP API, the event store and the projections where the project has them, the
    CLI, an operator, who may also send dead letters again, the doctor, a deploy role, and the workers of each
    participant that handlers or definitions name. Only the deploy role makes streams and consumers
    (`saga nats provision`) and tables (`saga db upgrade`); all others run with nats.provision=false. There are no
    passwords in it.
    """
    from saga_engine.bootstrap.access import nats_users, sql_roles
    from saga_engine.cli.views.access import access_json, nats_fragment, sql_script

    if everything and participant is not None:
        raise click.UsageError("--participant and --all exclude each other")
    settings = frame.settings()
    frame.log()
    if server is Server.JSON:
        write_json(access_json(nats_users(settings, participant), sql_roles(settings, participant)), Format.JSON)
        return
    lines = nats_fragment(nats_users(settings, participant)) if server is Server.NATS else None
    for line in lines if lines is not None else sql_script(sql_roles(settings, participant)):
        click.echo(plain(line))


@lazy_group("auth", {"export": Lazy(f"{_HERE}:export", "Print the least that each role must be allowed.")})
def auth() -> None:
    """Print who needs to be let in where."""
