"""A request to stop that comes while the modules of a service are still being imported: noted, and obeyed after that.

Imports nothing that takes time.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noting_sigterm() -> Iterator[list[signal.Signals]]:
    """Within this, the first SIGTERM is added to the list, and the next raises KeyboardInterrupt.

    An exception in the middle of an import could be lost, or leave half a module behind.
    """
    noted: list[signal.Signals] = []

    def note(number: int, _frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(signal.Signals(number))

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGTERM, before)
