"""Runs an asyncio service until a signal asks it to stop: once, and it finishes; twice, and it is interrupted.

Owns the event loop and the signals. Knows nothing of the service.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TypeAlias

Service: TypeAlias = Callable[[asyncio.Event, Callable[[], None]], Awaitable[None]]
"""Ends soon after the event is set; calls the function once it works. Until then it has nothing to finish."""


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
