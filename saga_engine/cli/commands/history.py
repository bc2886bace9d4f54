"""`saga history`: the events of one saga's stream, as they are stored."""

from __future__ import annotations

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Styled, brief_json, output_option, rfc3339, write_rows, write_table


@click.command("history")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def history(frame: Frame, id_or_key: str, saga: str | None, output: Format) -> None:
    """Print the events of a saga's stream, oldest first.

    With -o jsonl a line each: version, type, at, data.
    """
    from saga_engine.codec import encode_event, event_data

    with frame.client() as client:
        events = client.view(client.find(id_or_key, saga)).events
    records = [encode_event(event, version) for version, event in enumerate(events, start=1)]
    if output is Format.TEXT:
        rows = [
            (str(one.version), rfc3339(one.at), Styled(one.type, bold=True), brief_json(event_data(one), 200))
            for one in records
        ]
        write_table(("VERSION", "AT", "TYPE", "DATA"), rows)
        return
    write_rows(
        [{"version": one.version, "type": one.type, "at": rfc3339(one.at), "data": event_data(one)} for one in records],
        output,
    )
