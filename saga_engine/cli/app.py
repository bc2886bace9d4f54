"""The root command, and the outermost handler that turns whatever happens into one clear line and an exit code.

Owns the table of commands and the codes. Imports no command.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from saga_engine.cli.frame import Frame
from saga_engine.cli.interrupts import interrupts_kept
from saga_engine.cli.lazy import Lazy, lazy_group
from saga_engine.cli.output import plain
from saga_engine.cli.streams import open_streams
from saga_engine.errors import SagaEngineError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
READER_GONE = 141
"""As a shell says of a program that SIGPIPE has ended: whoever sets `pipefail` knows it from every other tool."""

_LONGEST_LINE = 2_000
"""Of an error, in characters."""

_NOT_WRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS = "saga_engine.cli.commands"

COMMANDS = {
    "demo": Lazy(f"{_COMMANDS}.demo:demo", "Run the project's demo and show what happens."),
    "init": Lazy(f"{_COMMANDS}.init:init", "Make a new project, with a saga that runs."),
    "run": Lazy(f"{_COMMANDS}.run:run", "Run the orchestrator, the project's workers and its projections."),
    "eventstore": Lazy(f"{_COMMANDS}.eventstore:eventstore", "Serve the event store over gRPC."),
    "api": Lazy(f"{_COMMANDS}.api:api", "Serve sagas over HTTP."),
    "start": Lazy(f"{_COMMANDS}.start:start", "Start a saga."),
    "list": Lazy(f"{_COMMANDS}.list:list_sagas", "List sagas, newest first."),
    "show": Lazy(f"{_COMMANDS}.show:show", "Show one saga: its steps and what happened."),
    "watch": Lazy(f"{_COMMANDS}.watch:watch", "Follow one saga to its end, or all of them."),
    "history": Lazy(f"{_COMMANDS}.history:history", "Print the events of a saga's stream."),
    "signal": Lazy(f"{_COMMANDS}.signal:signal", "Tell a saga that something has happened."),
    "cancel": Lazy(f"{_COMMANDS}.verbs:cancel", "End a saga early: what it did is compensated."),
    "suspend": Lazy(f"{_COMMANDS}.verbs:suspend", "Send nothing for a saga until it is resumed."),
    "resume": Lazy(f"{_COMMANDS}.verbs:resume", "Let a suspended saga go on."),
    "retry": Lazy(f"{_COMMANDS}.verbs:retry", "Try a blocked step again."),
    "skip": Lazy(f"{_COMMANDS}.verbs:skip", "Give up a blocked compensation: its effect stands."),
    "resolve": Lazy(f"{_COMMANDS}.verbs:resolve", "Say that a person has undone a blocked step."),
    "dead": Lazy(f"{_COMMANDS}.dead:dead", "List dead letters, show one, and send them again."),
    "events": Lazy(f"{_COMMANDS}.events:events", "Send domain events again that the broker has lost."),
    "plan": Lazy(f"{_COMMANDS}.plan:plan", "Show what would be sent if a saga were cancelled or a step failed."),
    "audit": Lazy(f"{_COMMANDS}.audit:audit", "Check that what is stored of sagas holds together."),
    "definitions": Lazy(f"{_COMMANDS}.definitions:definitions", "List, show and compare definitions."),
    "participants": Lazy(f"{_COMMANDS}.participants:participants", "List the participants' commands and export them."),
    "projections": Lazy(
        f"{_COMMANDS}.projections:projections", "List projections, show how far they are behind, and rebuild one."
    ),
    "schema": Lazy(f"{_COMMANDS}.schema:schema", "Print the JSON Schema (draft-07) of the definition language."),
    "validate": Lazy(f"{_COMMANDS}.validate:validate", "Check definitions and report every mistake."),
    "verify": Lazy(f"{_COMMANDS}.verify:verify", "Prove that a saga never ends half done, or show how it can."),
    "graph": Lazy(f"{_COMMANDS}.graph:graph", "Draw the steps of a definition or of a saga."),
    "setup": Lazy(f"{_COMMANDS}.setup:setup", "Set up the databases and the broker, once."),
    "db": Lazy(f"{_COMMANDS}.db:db", "Create and upgrade the project's databases."),
    "config": Lazy(f"{_COMMANDS}.config:config", "Show the configuration and where it comes from."),
    "nats": Lazy(f"{_COMMANDS}.nats:nats", "Make what the project needs on its broker."),
    "auth": Lazy(f"{_COMMANDS}.auth:auth", "Print who needs to be let in where."),
    "keys": Lazy(f"{_COMMANDS}.keys:keys", "List and exchange the keys of the reply tokens."),
    "doctor": Lazy(f"{_COMMANDS}.doctor:doctor", "Say what is wrong, why it matters, and what to type next."),
    "completion": Lazy(f"{_COMMANDS}.completion:completion", "Print the completion script of a shell."),
}


@lazy_group("saga", COMMANDS)
@click.option(
    "-C",
    "--project",
    type=click.Path(path_type=Path),
    envvar="SAGA_PROJECT",
    help="The project's folder. Default: the nearest one upwards whose config.yaml has `saga_engine: 1`.",
)
@click.option("--set", "sets", multiple=True, metavar="PLACE=VALUE", help="A setting, as in orchestrator.due_poll=2s.")
@click.option("--insecure", is_flag=True, help="Let connections beyond this machine be in plain text.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    envvar="SAGA_LOG_LEVEL",
    help="What is logged on stderr. Default: info for `run`, else warning.",
)
@click.version_option(package_name="saga-engine", prog_name="saga-engine", message="%(prog)s %(version)s")
@click.pass_context
def saga(
    ctx: click.Context, project: Path | None, sets: tuple[str, ...], insecure: bool, log_level: str | None
) -> None:
    """Sagas: business transactions over several services that never end half done."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    given = ctx.obj if isinstance(ctx.obj, Path) else None
    ctx.obj = Frame(project or given, (*sets, "insecure=true") if insecure else sets, log_level)


def main(args: Sequence[str] | None = None, *, project: Path | None = None) -> int:
    """Run the command line over `args` (default: the process's) and return its exit code.

    `project`: the folder to use as the project when `--project` does not name one.
    """
    open_streams()
    stdout = sys.stdout
    try:
        code = _run(args, project)
        if sys.stdout is not stdout:
            # click puts a silent one in its place when the reader has gone, and says no more than that it failed.
            sys.stdout = stdout
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        sys.stdout.flush()
    except OSError as error:
        return _stdout_failed(error)
    return code


def _run(args: Sequence[str] | None, project: Path | None) -> int:
    given = list(sys.argv[1:] if args is None else args)
    for before, argument in zip(["saga", *given], given, strict=False):
        if not _is_text(argument):
            return _fail(f"what follows {before} is not text in UTF-8", USAGE)
    try:
        with interrupts_kept():
            result = saga.main(args, standalone_mode=False, obj=project)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return USAGE
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "saga"
        return _fail(f"{error.format_message()} (see `{command} --help`)", USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except SagaEngineError as error:
        return _fail(str(error), error.exit_code)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else FAILED
    except OSError as error:
        if error.filename is None and error.errno in _NOT_WRITABLE:
            raise
        return _unexpected(error)
    except ExceptionGroup as group:
        return _several(group)
    except Exception as error:  # noqa: BLE001 - the outermost handler: a person gets one line, never a traceback
        return _unexpected(error)
    return result if isinstance(result, int) else 0


def _is_text(argument: str) -> bool:
    """Python passes bytes that are no UTF-8 as lone surrogates, which no database takes."""
    return argument.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in argument)


def _fail(message: str, code: int) -> int:
    if os.environ.get("SAGA_DEBUG") and sys.exc_info()[1] is not None:
        traceback.print_exc()
    for line in message.splitlines():
        # What is indented belongs to the error above it: the lines of a difference.
        prefix = "" if line.startswith("  ") else "Error: "
        click.echo(f"{prefix}{_shortened(plain(line))}", err=True)
    return code


def _shortened(line: str) -> str:
    """A line without the middle of what is too long to be read: it may repeat what somebody has passed."""
    left_out = len(line) - _LONGEST_LINE
    half = _LONGEST_LINE // 2
    return line if left_out <= 0 else f"{line[:half]} [... {left_out:,} characters ...] {line[-half:]}"


def _several(group: ExceptionGroup[Exception]) -> int:
    """What ended a service whose parts run side by side: the cause that a person can act on, else the first."""
    causes = list(_leaves(group))
    cause = next((one for one in causes if isinstance(one, SagaEngineError)), causes[0])
    return _fail(str(cause), cause.exit_code) if isinstance(cause, SagaEngineError) else _unexpected(cause)


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _unexpected(error: Exception) -> int:
    text = " ".join(str(error).split())
    hint = "" if os.environ.get("SAGA_DEBUG") else "; set SAGA_DEBUG=1 to see where"
    if isinstance(error, OSError) and error.filename is not None:
        return _fail(f"{error.filename}: {error.strerror}{hint}", FAILED)
    return _fail(
        f"unexpected {type(error).__name__}: {text}; this is a fault in saga-engine or a handler{hint}", FAILED
    )


def _stdout_failed(error: OSError) -> int:
    """A reader that has gone (`saga list | head`) is told nothing; a full disk is. The exit code."""
    # The interpreter flushes once more at its end: let it do so into nothing.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return READER_GONE
    click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
    return FAILED
