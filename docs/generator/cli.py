"""The commands of `saga` with their options, from the help texts that click shows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click

from docs.generator.blocks import code, fence, table
from saga_engine.cli.app import saga

_HIDDEN: Final = "help"


def commands(_argument: str) -> str:
    """The root command, then every command and command of a group in the order of `saga --help`."""
    root = click.Context(saga, info_name="saga")
    return "\n\n".join(_section(command, context) for command, context in _all(saga, root))


def command_paths() -> list[str]:
    """Every command as it is typed: `saga`, `saga run`, `saga db upgrade`, ..."""
    return [context.command_path for _, context in _all(saga, click.Context(saga, info_name="saga"))]


def _all(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, f"{name} is in the list of commands"
            yield from _all(inner, click.Context(inner, info_name=name, parent=context))


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"### `{context.command_path}`", _text(command.help or ""), code(usage)]
    options = [one for one in command.params if isinstance(one, click.Option) and one.name != _HIDDEN]
    if options:
        parts.append(table(("option", "value", "what"), [_option(one, context) for one in options]))
    return "\n\n".join(parts)


def _text(help_text: str) -> str:
    """A help text as Markdown: what must not be wrapped becomes a block."""
    paragraphs = inspect.cleandoc(help_text).split("\n\n")
    return "\n\n".join(
        fence("text", part.removeprefix("\b\n")) if part.startswith("\b") else part for part in paragraphs
    )


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    names = ", ".join(code(name) for name in [*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.count else code(option.make_metavar(context).replace(" RANGE", ""))
    facts = [" ".join((option.help or "").split())]
    if option.show_default and not option.is_flag:
        facts.append(f"Default: {option.default}.")
    if option.envvar:
        facts.append(f"Environment: {code(str(option.envvar))}.")
    return names, value, " ".join(facts)
