"""`saga completion`: prints the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_WHERE = {
    "bash": 'eval "$(saga completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(saga completion zsh)" in ~/.zshrc',
    "fish": "saga completion fish > ~/.config/fish/completions/saga.fish",
}


@click.command("completion", help="Print the completion script of a shell.\n\n\b\n" + "\n".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    complete = get_completion_class(shell)
    assert complete is not None, f"click completes {shell}"
    click.echo(complete(ctx.find_root().command, {}, "saga", "_SAGA_COMPLETE").source())
