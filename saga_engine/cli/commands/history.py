"""`saga history`: the events of one saga's stream, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Styled, brief_json, output_option, rfc3339, write_rows, write_table
from saga_engine.codec import encode_event, event_data
from saga_engine.definition.model import Json
from saga_engine.envelope import EventRecord


@click.command("history")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def history(frame: Frame, id_or_key: str, saga: str | None, output: Format) -> None:
    """Print the events of a saga's stream, oldest first.

    With -o jsonl a line each: version, type, at, data; and `emits`, the name of the domain event that it published.
    """
    with frame.client() as client:
        view = client.view(client.find(id_or_key, saga))
    records = [encode_event(event, version) for version, event in enumerate(view.events, start=1)]
    names = {version: emitted.name for version, emitted in view.emitted.items()}
    if output is Format.TEXT:
        rows = [
            (
                str(one.version),
                rfc3339(one.at),
                Styled(one.type, bold=True),
                names.get(one.version, ""),
                brief_json(event_data(one), 200),
            )
            for one in records
        ]
        write_table(("VERSION", "AT", "TYPE", "EMITS", "DATA"), rows)
        return
    write_rows([_row(one, names.get(one.version)) for one in records], output)


def _row(record: EventRecord, emits: str | None) -> Mapping[str, Json]:
    row: dict[str, Json] = {"version": record.version, "type": record.type, "at": rfc3339(record.at)}
    row["data"] = event_data(record)
    return row if emits is None else {**row, "emits": emits}
