"""`saga config`: shows every setting, secrets hidden, and where its value came from."""

from __future__ import annotations

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, Styled, brief_json, output_option, write_rows, write_table


@click.command("show")
@output_option
@pass_frame
def show(frame: Frame, output: Format) -> None:
    """Show every setting and where its value came from: a default, config.yaml:LINE, the environment or a flag."""
    values = frame.configuration().values
    if output is Format.TEXT:
        write_table(
            ("SETTING", "VALUE", "FROM"),
            [
                (
                    one.place,
                    one.value if isinstance(one.value, str) else brief_json(one.value),
                    Styled(one.origin, dim=True),
                )
                for one in values
            ],
        )
    else:
        write_rows([{"setting": one.place, "value": one.value, "origin": one.origin} for one in values], output)


@lazy_group("config", {"show": Lazy(f"{__name__}:show", "Show every setting and where its value came from.")})
def config() -> None:
    """Show the configuration and where it comes from."""
