"""`saga start`: starts a saga, and waits for its end when asked to."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

import click
from click.shell_completion import CompletionItem

from saga_engine.cli.arguments import Duration
from saga_engine.cli.files import defined
from saga_engine.cli.frame import Frame, pass_frame
from saga_engine.cli.lines import Lines, given_input
from saga_engine.cli.output import Format, Styled, output_option, plain, write, write_json
from saga_engine.core.state import Status
from saga_engine.definition.model import Json
from saga_engine.elapsed import elapsed
from saga_engine.errors import SagaEngineError, UsageError
from saga_engine.trace_context import EXPECTED, valid_traceparent

if TYPE_CHECKING:
    from saga_engine.orchestrator.client import Client
    from saga_engine.orchestrator.starting import AlreadyStarted, Started

STOPPED_OTHERWISE, TIMED_OUT = 5, 124

_PATIENCE_S: Final = 10.0
"""Of a person who waits: then they are told how to find out for what."""


def _names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sagas of the project by a look at its files: completion must not import the loader."""
    # The root command is parsed but not run while a line is completed.
    project = ctx.find_root().params.get("project")
    try:
        found = [name for name, _ in defined(Frame(project, (), None).root())]
    except UsageError:
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _traceparent(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """The one given, which must be valid; else that of the environment, which is ignored unless it is."""
    if value is None:
        return os.environ.get("TRACEPARENT")
    if valid_traceparent(value) is None:
        raise click.BadParameter(f"{value!r} is no trace context: expected {EXPECTED}")
    return value


@click.command("start")
@click.argument("name", shell_complete=_names)
@click.option(
    "--input",
    "given",
    metavar="JSON|@FILE|-",
    default="{}",
    help="The input. @FILE.jsonl, or several lines on stdin: an input each. Default: an empty object.",
)
@click.option("--key", help="The business key, instead of the one that the definition makes from the input.")
@click.option("--version", type=click.IntRange(min=1), help="The definition's version. Default: the highest.")
@click.option("--again", is_flag=True, help="Once more under the same key, after it was compensated or closed.")
@click.option("--wait", is_flag=True, help="Wait for the end: exit code 0 completed, 5 otherwise, 124 timed out.")
@click.option("--timeout", type=Duration(), help="With --wait: how long, as in 30s. Default: without limit.")
@click.option(
    "--traceparent",
    metavar="W3C",
    callback=_traceparent,
    help="The caller's trace context, as in 00-<32 digits>-<16>-01. Default: TRACEPARENT of the environment.",
)
@output_option
@pass_frame
def start(
    frame: Frame,
    name: str,
    given: str,
    key: str | None,
    version: int | None,
    again: bool,
    wait: bool,
    timeout: int | None,
    traceparent: str | None,
    output: Format,
) -> None:
    """Start a saga.

    The same key with the same input gives the saga there is, whatever its status; with another input it is a conflict.

    From lines of input many are started with each commit. Lines that are refused are told, and the others started;
    doing it again starts what is missing.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout goes with --wait")
    with given_input(given) as saga_input:
        if not isinstance(saga_input, Lines):
            _start_one(frame, name, saga_input, key, version, again, wait, timeout, traceparent, output)
            return
        if key is not None or wait:
            raise click.UsageError("--key and --wait go with one input, not with lines of them")
        from saga_engine.cli.bulk import start_from

        start_from(frame, name, saga_input, version, again, traceparent, output)


def _start_one(
    frame: Frame,
    name: str,
    saga_input: Json,
    key: str | None,
    version: int | None,
    again: bool,
    wait: bool,
    timeout: int | None,
    traceparent: str | None,
    output: Format,
) -> None:
    settings = frame.settings()
    with frame.client(settings, new=True) as client:
        outcome = _start(client, name, saga_input, key, version, again, traceparent)
        if output is Format.TEXT or not wait:
            _print(name, outcome, None, output)
        frame.ring(settings, [outcome.saga_id])
        if wait:
            _wait(client, name, outcome, timeout, output)


def _start(
    client: Client,
    name: str,
    saga_input: Json,
    key: str | None,
    version: int | None,
    again: bool,
    traceparent: str | None,
) -> Started | AlreadyStarted:
    """What was started. Raises for everything else, in the words of a person."""
    from saga_engine.refusals import refusal

    outcome = client.start(name, saga_input, key=key, version=version, again=again, traceparent=traceparent)
    refused = refusal(outcome)
    if isinstance(refused, SagaEngineError):
        raise refused
    return refused


def _wait(client: Client, name: str, outcome: Started | AlreadyStarted, timeout: int | None, output: Format) -> None:
    from saga_engine.cli.waiting import Timing, wait_for

    timing = Timing(time.monotonic, time.sleep)
    until = timing.now() + (math.inf if timeout is None else timeout / 1e6)
    status = wait_for(client, outcome.saga_id, min(_PATIENCE_S, until - timing.now()), timing)
    if status is None and timing.now() < until:
        hint = f"`saga show {outcome.saga_id}` says what for, `saga doctor` what is wrong"
        click.echo(f"still waiting for {name} {plain(outcome.key)}: {hint}", err=True)
        status = wait_for(client, outcome.saga_id, None if timeout is None else until - timing.now(), timing)
    if output is not Format.TEXT:
        _print(name, outcome, status or Status(client.status(outcome.saga_id).status), output)
    elif status is not None:
        write([f"{name} {outcome.key} is ", _status(status)])
        if status is not Status.COMPLETED:
            _tell_why(client, outcome.saga_id)
    if status is None:
        assert timeout is not None
        click.echo(f"Error: {outcome.saga_id} had not ended after {elapsed(timeout)}; it goes on", err=True)
        click.get_current_context().exit(TIMED_OUT)
    if status is not Status.COMPLETED:
        click.get_current_context().exit(STOPPED_OTHERWISE)


def _tell_why(client: Client, saga_id: UUID) -> None:
    from saga_engine.cli.views.whole import stopped_lines

    try:
        state, plan = client.states([saga_id])[saga_id], client.plan(client.status(saga_id).definition_hash)
    except SagaEngineError as error:
        # How it ended is known all the same, as when an orchestrator of a newer release has ended it.
        click.echo(f"why is not known here: {plain(str(error))}", err=True)
        return
    for line in stopped_lines(plan, state, client.now):
        write(line)


def _status(status: Status) -> Styled:
    from saga_engine.cli.views.saga import status_part

    return status_part(status)


def _print(name: str, outcome: Started | AlreadyStarted, status: Status | None, output: Format) -> None:
    from saga_engine.orchestrator.starting import Started

    created = isinstance(outcome, Started)
    if output is Format.TEXT:
        write(
            [
                Styled("started " if created else "is there already: ", "green"),
                f"{name} {outcome.key} {outcome.saga_id}",
            ]
        )
        return
    row: Mapping[str, Json] = {"id": str(outcome.saga_id), "saga": name, "key": outcome.key, "created": created}
    write_json(row if status is None else {**row, "status": str(status)}, output)
