"""`saga events`: the domain events that sagas have published, sent again after the broker has lost them."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from saga_engine.cli.confirming import confirmed
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, output_option, plain, write_json, write_table
from saga_engine.cli.progress import progress
from saga_engine.definition.durations import parse_duration
from saga_engine.plural import several

if TYPE_CHECKING:
    from saga_engine.definition.model import Json
    from saga_engine.orchestrator.client import Client
    from saga_engine.settings.settled import Settings

FAILED: Final = 1
_HERE: Final = "saga_engine.cli.commands.events"
_WAIT_S: Final = 5.0


class Since(click.ParamType[str]):
    """A time in RFC 3339, or how long ago; kept as typed, since "ago" is by the store's clock."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if parse_duration(value) is None and _time(value) is None:
            expected = "a time such as 2026-03-01T12:00:00Z, or how long ago, such as 2h"
            self.fail(f"{value[:80]!r} is no time: expected {expected}", param, ctx)
        return value


@click.command("resend")
@click.option("--since", type=Since(), required=True, help="What was published since then: a time, or how long ago.")
@click.option("--saga", metavar="NAME", help="Only events of sagas of this definition.")
@click.option("--yes", is_flag=True, help="Send them; without it they are only counted.")
@output_option
@pass_frame
def resend(frame: Frame, since: str, saga: str | None, yes: bool, output: Format) -> None:
    """Send again what sagas have published, after the broker has lost it.

    The events are made from the store as they were, with the same ids, those of one saga in their order: a subscriber
    that drops ids it has seen gets what it has missed. What the broker has never acknowledged is sent by the
    orchestrator anyway.

    Without --yes they are counted, and at a terminal sent once their number is typed.
    """
    from saga_engine.bootstrap.clients import client as open_client

    settings = frame.settings()
    frame.log()
    with closing(open_client(settings)) as client:
        begin = _begin(client, since)
        found = _count(client, begin, saga)
        total = found.names.total()
        if output is Format.TEXT:
            write_table(("EVENT", "PUBLISHED"), [(name, f"{number:,}") for name, number in sorted(found.names.items())])
        for trouble in found.troubles:
            click.echo(f"Error: what it has published cannot be known: {plain(trouble)}", err=True)
        many = several(total, "event")
        going = yes or (output is Format.TEXT and confirmed(total, f"send {many} again"))
        sent = asyncio.run(_send(settings, client, begin, saga, found)) if going and total else 0
    if output is not Format.TEXT:
        rows: dict[str, Json] = dict(sorted(found.names.items()))
        told: dict[str, Json] = {"published": total, "sent": sent if going else None, "events": rows}
        write_json({**told, "unreadable": len(found.troubles)}, output)
    if going:
        click.echo(f"resend: {sent:,} sent, {total - sent:,} not sent{_hint(settings, total - sent)}", err=True)
    else:
        click.echo(f"{many} would be sent{'; nothing was sent: add --yes' if total else ''}", err=True)
    if found.troubles or (going and sent < total):
        click.get_current_context().exit(FAILED)


@lazy_group("events", {"resend": Lazy(f"{_HERE}:resend", "Send again what sagas have published.")})
def events() -> None:
    """Send domain events again that the broker has lost."""


def _time(text: str) -> int | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1_000_000)


def _begin(client: Client, since: str) -> int:
    ago = parse_duration(since)
    return client.now - ago if ago is not None else _time(since) or 0


@dataclass(slots=True)
class _Found:
    """What was published: how often by name, on which subjects; and why that of some sagas cannot be known."""

    names: Counter[str] = field(default_factory=Counter)
    subjects: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)


def _count(client: Client, begin: int, saga: str | None) -> _Found:
    from saga_engine.orchestrator.resending import published_since

    found = _Found()
    with progress("counting events") as bar:
        for page in published_since(client, begin, saga):
            for one in page:
                found.names.update(event.name for event in one.events)
                found.subjects |= {event.subject for event in one.events if event.subject}
                found.troubles += [one.trouble] if one.trouble else []
            bar.report(f"counting events: {found.names.total():,}")
    return found


async def _send(settings: Settings, client: Client, begin: int, saga: str | None, found: _Found) -> int:
    from saga_engine.bootstrap.transports import transport
    from saga_engine.orchestrator.resending import published_since, resend

    sent, total = 0, found.names.total()
    with progress("send") as bar:
        async with transport(settings, _WAIT_S) as connected:
            if settings.nats.provision:
                # A broker that has lost its streams has forgotten which subjects they took.
                await connected.keep_events(sorted(found.subjects))
            # Read here: there is nothing else that this loop has to do meanwhile.
            for page in published_since(client, begin, saga):
                async for one in resend(connected, page):
                    sent += one.sent
                bar.report(f"send {sent:,} of {total:,}", sent, total)
    return sent


def _hint(settings: Settings, left: int) -> str:
    if not left:
        return ""
    made = "" if settings.nats.provision else "`saga nats provision` makes what is missing there; "
    return f": the broker did not take them; {made}the same again sends what it lacks"
