"""`saga dead`: the dead letters: messages that nobody could work on, listed, shown, and put back on their subjects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import click

from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import Format, Styled, output_option, write, write_json, write_rows
from saga_engine.cli.progress import progress
from saga_engine.errors import NotFoundError
from saga_engine.plural import several

if TYPE_CHECKING:
    from saga_engine.definition.model import Json
    from saga_engine.orchestrator.dead_letters import LetterFilter, Sending
    from saga_engine.ports.dead_letters import DeadLetter, DeadLetters
    from saga_engine.ports.transport import Transport

R = TypeVar("R")

FAILED: Final = 1
_MOST: Final = 100_000
_HERE: Final = "saga_engine.cli.commands.dead"


def _participant(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None and re.fullmatch(r"[a-z][a-z0-9_]{0,62}", value) is None:
        raise click.BadParameter(f"{value!r} is no participant's name: lower-case letters, digits and _")
    return value


class _Sequence(click.ParamType[int]):
    """The number of a dead letter."""

    name = "sequence"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        # What is longer is no sequence of any stream, and more digits than Python reads.
        if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,18}", value) is None:
            expected = "expected its number, as in 17; `saga dead list` shows them"
            self.fail(f"{value[:80]!r} is no dead letter: {expected}", param, ctx)
        return int(value)


@click.command("list")
@click.option(
    "--participant",
    callback=_participant,
    metavar="NAME",
    help="Only letters of this participant; orchestrator: bad replies.",
)
@click.option("--reason", metavar="TEXT", help="Only letters whose reason has this text, in any case.")
@click.option("--limit", type=click.IntRange(1, _MOST), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=click.IntRange(min=1), metavar="SEQ", help="Page on: only letters below this one.")
@output_option
@pass_frame
def list_letters(
    frame: Frame, participant: str | None, reason: str | None, limit: int, before: int | None, output: Format
) -> None:
    """List dead letters, newest first.

    Each is a command or a reply that nobody could work on, with the reason. Its saga was told of a failure, and went on
    by its rules. Or it is an event that led to no saga.
    """
    from saga_engine.cli.views.letters import letter_json, print_letters
    from saga_engine.orchestrator.dead_letters import LetterFilter

    found = _find(frame, LetterFilter(participant, reason, before), limit)
    if output is not Format.TEXT:
        write_rows([letter_json(letter) for letter in found], output)
        return
    if not found:
        click.echo("No dead letters found.", err=True)
    print_letters(found)
    if len(found) == limit:
        click.echo(f"There may be more: --before {found[-1].sequence}", err=True)


@click.command("show")
@click.argument("sequence", metavar="SEQ", type=_Sequence())
@click.option("--whole", is_flag=True, help="All of the body, however long it is.")
@output_option
@pass_frame
def show(frame: Frame, sequence: int, whole: bool, output: Format) -> None:
    """Show one dead letter: its headers and its body.

    As text a long body is cut. Of the reply token only the id of its key is shown.
    """
    from saga_engine.cli.views.letters import print_letter, whole_letter_json

    async def get(_transport: Transport, letters: DeadLetters) -> DeadLetter | None:
        return await letters.get(sequence)

    letter = _with_letters(frame, get)
    if letter is None:
        raise NotFoundError(f"no dead letter {sequence}; `saga dead list` shows those there are")
    if output is not Format.TEXT:
        write_json(whole_letter_json(letter), output)
        return
    hidden = print_letter(letter, whole=whole)
    if hidden:
        click.echo(f"{hidden:,} more characters: --whole shows them", err=True)


@click.command("send")
@click.argument("sequences", metavar="[SEQ]...", type=_Sequence(), nargs=-1)
@click.option("--participant", callback=_participant, metavar="NAME", help="Filter: only letters of this participant.")
@click.option("--reason", metavar="TEXT", help="Filter: only letters whose reason has this text, in any case.")
@click.option("--yes", is_flag=True, help="Send all that the filter finds; without it they are only shown.")
@output_option
@pass_frame
def send(
    frame: Frame, sequences: tuple[int, ...], participant: str | None, reason: str | None, yes: bool, output: Format
) -> None:
    """Put the messages of dead letters back on their subjects.

    Each gets a new message id, and its letter is removed once the broker has confirmed it. A command is tried once
    more; whether an answer still counts is for its saga to judge, which was told of a failure before. An event of
    others starts its saga, or ends its wait, here and now, and nobody else hears it again.

    Without SEQ it is meant for all letters that --participant and --reason find: they are shown, and with --yes, or
    once their number is typed at a terminal, they are sent, oldest first.
    """
    from saga_engine.orchestrator.dead_letters import LetterFilter

    filtered = participant is not None or reason is not None
    if sequences and (filtered or yes):
        raise click.UsageError("--participant, --reason and --yes go with a filter, not with SEQ")
    if not sequences and not filtered:
        raise click.UsageError("name letters by SEQ, or many by --participant and --reason")
    if not sequences:
        found = _find(frame, LetterFilter(participant, reason), _MOST)
        if not yes and not _confirmed(found, output):
            return
        sequences = tuple(letter.sequence for letter in reversed(found))
    _send(frame, tuple(dict.fromkeys(sequences)), output)


@lazy_group(
    "dead",
    {
        "list": Lazy(f"{_HERE}:list_letters", "List dead letters, newest first."),
        "show": Lazy(f"{_HERE}:show", "Show one dead letter: its headers and its body."),
        "send": Lazy(f"{_HERE}:send", "Put the messages of dead letters back on their subjects."),
    },
)
def dead() -> None:
    """List dead letters, show one, and send them again.

    A dead letter is a command or a reply that nobody could work on: it cannot be read, its result is too large, its
    handler has killed its worker ten times, or it is older than 90 days. Or it is an event that was to start a saga or
    end a wait, and could not. None of them holds up anything else.
    """


def _with_letters(frame: Frame, ask: Callable[[Transport, DeadLetters], Coroutine[object, object, R]]) -> R:
    from saga_engine.bootstrap.dead_letters import dead_letters

    settings = frame.settings()
    frame.log()

    async def asking() -> R:
        async with dead_letters(settings) as (transport, letters):
            return await ask(transport, letters)

    return asyncio.run(asking())


def _find(frame: Frame, wanted: LetterFilter, limit: int) -> Sequence[DeadLetter]:
    from saga_engine.orchestrator.dead_letters import find_letters

    async def find(_transport: Transport, letters: DeadLetters) -> Sequence[DeadLetter]:
        return await find_letters(letters, wanted, limit)

    return _with_letters(frame, find)


def _confirmed(found: Sequence[DeadLetter], output: Format) -> bool:
    """Show what would be sent; whether a person says that it shall."""
    from saga_engine.cli.confirming import confirmed
    from saga_engine.cli.views.letters import letter_json, print_letters

    if output is not Format.TEXT:
        write_rows([{**letter_json(letter), "result": "not_done"} for letter in found], output)
    else:
        print_letters(found)
    many = several(len(found), "dead letter")
    if output is Format.TEXT and confirmed(len(found), f"send {many}"):
        return True
    hint = "; nothing was sent: add --yes to send them" if found else ""
    click.echo(f"{many} would be sent{hint}", err=True)
    return False


def _send(frame: Frame, sequences: Sequence[int], output: Format) -> None:
    from saga_engine.bootstrap.listeners import event_taking
    from saga_engine.orchestrator.dead_letters import NotSent, send_letters

    done: list[Sending] = []

    async def sending(transport: Transport, letters: DeadLetters) -> None:
        with progress("send", beside_data=output is Format.JSONL) as bar, event_taking(frame.settings()) as take:
            async for one in send_letters(transport, letters, sequences, take):
                done.append(one)
                if output is Format.JSONL:
                    write_json(_row(one), output)
                bar.report(f"send {len(done):,} of {len(sequences):,}", len(done), len(sequences))

    _with_letters(frame, sending)
    if output is Format.JSON:
        write_rows([_row(one) for one in done], output)
    elif output is Format.TEXT:
        for one in done:
            _tell(one)
    sent = sum(not isinstance(one, NotSent) for one in done)
    click.echo(f"send: {sent} sent, {len(done) - sent} not sent", err=True)
    if sent < len(done):
        click.get_current_context().exit(FAILED)


def _tell(one: Sending) -> None:
    from saga_engine.orchestrator.dead_letters import EventTaken, Sent

    match one:
        case Sent():
            write([Styled("sent", "green"), f"  {one.sequence}: to {one.subject}; the letter is removed"])
        case EventTaken():
            led = one.why if one.saga_id is None else f"saga {one.saga_id} has taken it"
            write([Styled("taken", "green"), f"  {one.sequence}: {one.subject}: {led}; the letter is removed"])
        case _:
            write([Styled("not sent", "red"), f"  {one.sequence}: {one.reason}"])


def _row(one: Sending) -> dict[str, Json]:
    from saga_engine.orchestrator.dead_letters import EventTaken, Sent

    match one:
        case Sent():
            return {"sequence": one.sequence, "result": "sent", "subject": one.subject}
        case EventTaken():
            saga_id = None if one.saga_id is None else str(one.saga_id)
            more: dict[str, Json] = {"saga_id": saga_id, "why": one.why}
            return {"sequence": one.sequence, "result": "taken", "subject": one.subject, **more}
    return {"sequence": one.sequence, "result": "not_sent", "reason": one.reason}
