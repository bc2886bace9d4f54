"""`saga history`: the events of one saga's stream, as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.output import Format, Part, Styled, brief_json, output_option, rfc3339, write_rows, write_table
from saga_engine.cli.viewing import view_of
from saga_engine.definition.model import Json
from saga_engine.documents.history import history_rows

_TIMES: Final = ("due", "retry_at")
"""What events say of later times. What participants and senders of signals say stands deeper, and as they said it."""


@click.command("history")
@click.argument("id_or_key", metavar="ID|KEY")
@click.option("--saga", metavar="NAME", help="The saga's name, when several have that key.")
@output_option
@pass_frame
def history(frame: Frame, id_or_key: str, saga: str | None, output: Format) -> None:
    """Print the events of a saga's stream, oldest first.

    With -o jsonl a line each, as it is stored: version, type, at, data, in which times are integer microseconds; and
    `emits`, the name of the domain event that it published.
    """
    with frame.client() as client:
        view = view_of(client, id_or_key, saga)
    rows = history_rows(view)
    if output is not Format.TEXT:
        write_rows(rows, output)
        return
    write_table(("VERSION", "AT", "TYPE", "EMITS", "DATA"), [_columns(row) for row in rows])


def _columns(row: Mapping[str, Json]) -> tuple[Part, ...]:
    return (
        str(row["version"]),
        str(row["at"]),
        Styled(str(row["type"]), bold=True),
        str(row.get("emits", "")),
        brief_json(_readable(row["data"]), 200),
    )


def _readable(data: Json) -> Json:
    """The event's data with the times in it, which are microseconds in the stream, as times."""
    if not isinstance(data, Mapping):
        return data
    return {name: rfc3339(it) if name in _TIMES and isinstance(it, int) else it for name, it in data.items()}
