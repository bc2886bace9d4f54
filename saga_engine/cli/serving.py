"""Runs an asyncio service until a signal asks it to stop: once, and it finishes; twice, and it is interrupted.

Owns the event loop and the signals. Knows nothing of the service.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec


def serve(service: Callable[[asyncio.Event], Awaitable[None]]) -> signal.Signals | None:
    """Run `service`, which ends soon after the event that it is given is set. The signal that asked for it, if any.

    A second SIGINT or SIGTERM raises KeyboardInterrupt. uvloop is used where it is installed.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_signalled(service))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


async def _until_signalled(service: Callable[[asyncio.Event], Awaitable[None]]) -> signal.Signals | None:
    stop = asyncio.Event()
    received: list[signal.Signals] = []
    task = asyncio.ensure_future(service(stop))
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            stop.set()
        else:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, partial(on_signal, number))
    try:
        await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    return received[0] if received else None
