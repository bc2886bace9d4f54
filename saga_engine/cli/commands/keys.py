"""`saga keys`: the keys of the reply tokens, listed and exchanged while everything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, Styled, output_option, rfc3339, write, write_json, write_rows, write_table
from saga_engine.errors import NotFoundError, SagaEngineError

if TYPE_CHECKING:
    from saga_engine.adapters.sql.reply_keys import KnownKey
    from saga_engine.definition.model import Json

_HERE: Final = "saga_engine.cli.commands.keys"
_SIGNS: Final = "signs"
_COUNTS: Final = "counts"


@click.command("list")
@output_option
@pass_frame
def list_keys(frame: Frame, output: Format) -> None:
    """List the keys, oldest first, without their secrets.

    New commands are signed with the newest; replies count that were signed with any of them.
    """
    from saga_engine.bootstrap.stores import reply_keys

    with reply_keys(frame.settings()) as keys:
        known = keys.known()
    if output is not Format.TEXT:
        write_rows([_json(one) for one in known], output)
    elif known:
        write_table(("KEY", "SINCE", "STATE"), [(one.id, rfc3339(one.created_at), _state(one)) for one in known])
    else:
        click.echo("No keys yet: the first orchestrator makes one.", err=True)


@click.command("rotate")
@output_option
@pass_frame
def rotate(frame: Frame, output: Format) -> None:
    """Add a key, which signs new commands from now on.

    Running orchestrators know it within seconds. Older keys count until they are retired.
    """
    from saga_engine.bootstrap.stores import reply_keys

    with reply_keys(frame.settings()) as keys:
        added = keys.rotate()
    if output is Format.TEXT:
        write([f"Key {added.id} signs from now on; the older ones count until `saga keys retire`."])
    else:
        write_json(_json(added), output)


@click.command("retire")
@click.argument("key_id", metavar="KEY")
@output_option
@pass_frame
def retire(frame: Frame, key_id: str, output: Format) -> None:
    """Remove a key: no reply that was signed with it counts any more.

    Running orchestrators know it within seconds. A reply that comes too late is not lost: its command is sent again
    when its time is over, and answered from the participant's inbox. The key that signs cannot be retired.
    """
    from saga_engine.adapters.sql.reply_keys import Retirement
    from saga_engine.bootstrap.stores import reply_keys

    with reply_keys(frame.settings()) as keys:
        done = keys.retire(key_id)
    if done is Retirement.UNKNOWN:
        raise NotFoundError(f"there is no key {key_id[:40]!r}; `saga keys list` shows those there are")
    if done is Retirement.SIGNS:
        raise SagaEngineError(f"key {key_id} signs new commands; run `saga keys rotate` first")
    if output is Format.TEXT:
        write([f"Key {key_id} is retired."])
    else:
        write_json({"key": key_id, "state": done.value}, output)


@lazy_group(
    "keys",
    {
        "list": Lazy(f"{_HERE}:list_keys", "List the keys, oldest first, without their secrets."),
        "rotate": Lazy(f"{_HERE}:rotate", "Add a key, which signs new commands from now on."),
        "retire": Lazy(f"{_HERE}:retire", "Remove a key: no reply that was signed with it counts any more."),
    },
)
def keys() -> None:
    """List and exchange the keys of the reply tokens.

    Each command carries a token, which its reply must return: so a participant can answer only what it was asked.
    """


def _state(key: KnownKey) -> Styled:
    return Styled(_SIGNS, "green") if key.signs else Styled(_COUNTS, dim=True)


def _json(key: KnownKey) -> dict[str, Json]:
    return {"key": key.id, "since": rfc3339(key.created_at), "state": _SIGNS if key.signs else _COUNTS}
