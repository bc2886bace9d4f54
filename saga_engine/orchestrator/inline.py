"""Runs the engine's asynchronous calls without an event loop, for whoever blocks anyway: a command line, a test.

Owns a `RunSync` that calls at once, and the running of a coroutine whose store calls are all of that kind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    """An awaitable whose value is there already."""

    value: T

    def __await__(self) -> Generator[None, None, T]:
        return self.value
        yield  # a generator, which is what an awaitable has to give


def inline(call: Callable[[], T], /) -> Awaitable[T]:
    """A `RunSync` that blocks its caller."""
    return _Known(call())


def finish(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine that waits for nothing but `inline` calls.

    Raises:
        RuntimeError: it waits for something else, which only an event loop could bring about.
    """
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    work.close()
    raise RuntimeError("this waits for something that needs an event loop")
