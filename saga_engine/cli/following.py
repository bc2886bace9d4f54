"""Looking at what is stored again and again, until something ends it: how often, and what happens in an outage.

Owns the pace. Knows not what is looked at, and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from saga_engine.cli.waiting import Timing
from saga_engine.errors import StoreUnavailableError

T = TypeVar("T")

_REST: Final = 9
"""Times as long as a look took is rested after it, at least: who watches takes at most a tenth of one connection."""


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """What was seen last; `outage`: why the store could not be asked this time."""

    seen: T
    outage: str | None = None


def looks(seen: T, again: Callable[[T], T], interval: float, timing: Timing) -> Iterator[Look[T]]:
    """What was `seen`, then what is seen `again`, at intervals of so many seconds or longer, for ever.

    A store that is away is asked again and again.
    """
    took = 0.0
    yield Look(seen)
    while True:
        timing.sleep(max(interval, _REST * took))
        before = timing.now()
        try:
            seen = again(seen)
        except StoreUnavailableError as error:
            yield Look(seen, str(error))
            # The store's own patience is no sign of what a look costs it.
            took = 0.0
        else:
            took = timing.now() - before
            yield Look(seen)
