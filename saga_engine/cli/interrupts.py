"""Ctrl-C that stays Ctrl-C: a library that is interrupted while it tidies up may raise another error in its place.

Knows no command. Imports nothing that takes time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Within this, an error that came while a KeyboardInterrupt was on its way is a KeyboardInterrupt.

    Told by the errors themselves. A handler of ours for SIGINT would keep asyncio from setting its own, which cancels
    what it runs instead of breaking into whatever task is at work.
    """
    try:
        yield
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        raise


def _interrupted(error: BaseException) -> bool:
    """Whether an interrupt is among what led to an error."""
    seen: set[int] = set()
    led: list[BaseException | None] = [error]
    while led:
        one = led.pop()
        if isinstance(one, KeyboardInterrupt):
            return True
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            led += (one.__cause__, one.__context__)
            if isinstance(one, BaseExceptionGroup):
                led += one.exceptions
    return False
