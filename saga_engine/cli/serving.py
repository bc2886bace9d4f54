"""Runs an asyncio service until a signal asks it to stop: once, and it finishes; twice, and it is interrupted.

Owns the event loop, the signals and how a command that serves ends. Knows nothing of the service.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, TypeAlias

import click

if TYPE_CHECKING:
    from saga_engine.cli.frame import Frame
    from saga_engine.settings.settled import Settings

INTERRUPTED: Final = 130
"""What a command ends with after Ctrl-C."""

Service: TypeAlias = Callable[[asyncio.Event, Callable[[], None]], Awaitable[None]]
"""Ends soon after the event is set; calls the function once it works. Until then it has nothing to finish."""


def serve_command(
    frame: Frame,
    noted: Sequence[signal.Signals],
    run: Callable[[Settings, asyncio.Event, Callable[[str], None]], Awaitable[None]],
) -> None:
    """Run what serves the project until it is asked to stop, and end the command. `run` tells by a line that it works.

    `noted` as in `serve`. Raises what `run` does.
    """
    settings = frame.configuration().settings
    frame.log("info")

    async def service(stop: asyncio.Event, works: Callable[[], None]) -> None:
        def ready(line: str) -> None:
            works()
            click.echo(line, err=True)

        await run(settings, stop, ready)

    if serve(service, noted) is signal.SIGINT:
        click.get_current_context().exit(INTERRUPTED)


def serve(service: Service, noted: Sequence[signal.Signals] = ()) -> signal.Signals | None:
    """Run `service` to its end. The signal that asked for it, if any.

    A SIGINT or SIGTERM before the service works cancels it, a later one asks it to stop. A second one cancels it and
    raises KeyboardInterrupt. `noted`: signals that came before; then nothing is begun. uvloop is used where installed.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_signalled(service, noted))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


async def _until_signalled(service: Service, noted: Sequence[signal.Signals]) -> signal.Signals | None:
    stop = asyncio.Event()
    works = asyncio.Event()
    received: list[signal.Signals] = []
    loop = asyncio.get_running_loop()
    task: asyncio.Task[None] | None = None

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1 and works.is_set():
            stop.set()
        elif task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, partial(on_signal, number))
    if noted:
        return noted[0]
    task = asyncio.ensure_future(_awaited(service(stop, works.set)))
    try:
        await task
    except asyncio.CancelledError:
        if len(received) != 1:
            raise KeyboardInterrupt from None
    return received[0] if received else None


async def _awaited(service: Awaitable[None]) -> None:
    await service
