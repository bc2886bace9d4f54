"""`saga schema`: the definition language as JSON Schema, for editors."""

from __future__ import annotations

import click

from saga_engine.cli.output import Format, output_option, write_json


@click.command("schema")
@output_option
def schema(output: Format) -> None:
    """Print the JSON Schema (draft-07) of the definition language.

    Point an editor at it with the first line of a definition:

        # yaml-language-server: $schema=FILE
    """
    from saga_engine.definition.schema import language_schema

    write_json(language_schema(), Format.JSONL if output is Format.JSONL else Format.JSON)
