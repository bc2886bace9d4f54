"""A click group whose commands are imported when they are used: help and completion cost nothing.

Owns only that. Knows none of the commands.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a command is (`module:attribute`), and the line that help shows for it without importing it."""

    target: str
    summary: str

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        return cast(click.Command, getattr(importlib.import_module(module), attribute))


class LazyGroup(click.Group):
    """A group over a table of lazy commands."""

    table: Mapping[str, Lazy]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        lazy = self.table.get(cmd_name)
        return lazy.load() if lazy is not None else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.table and not name.startswith("-") and not ctx.resilient_parsing:
            from saga_engine.definition.problems import nearest

            hint = nearest(name, self.table) or f"commands are {', '.join(self.table)}"
            raise click.UsageError(f'no such command "{name}"; {hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.summary) for name, lazy in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        own = [
            click.shell_completion.CompletionItem(name, help=lazy.summary)
            for name, lazy in self.table.items()
            if name.startswith(incomplete)
        ]
        return own + click.Command.shell_complete(self, ctx, incomplete)


def lazy_group(name: str, table: Mapping[str, Lazy]) -> Callable[[F], LazyGroup]:
    """A decorator that makes a lazy group over `table`."""

    def decorate(function: F) -> LazyGroup:
        group = click.group(name=name, cls=LazyGroup)(function)
        group.table = table
        return group

    return decorate
