"""Runs a coroutine up to where it first waits for something, without a task of its own.

A handler that never waits costs no task, timer or turn of the event loop. One that does is awaited by whoever began it,
so that the current task, and with it every time limit and task group, is the same all along.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Generic, TypeVar

from saga_engine.immutable import dataclass

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """It came to its end without waiting."""

    value: T


class Waiting(Generic[T]):
    """The rest of a coroutine that waits: to be awaited at once, in the task that began it."""

    __slots__ = ("_context", "_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[object, object, T], context: Context | None, first: object) -> None:
        self._coroutine = coroutine
        self._context = context
        self._first = first

    def __await__(self) -> Generator[object, object, T]:
        """What `yield from` does, with the first step taken and every other one in the coroutine's context."""
        coroutine, waited_for = self._coroutine, self._first
        run = _here if self._context is None else self._context.run
        try:
            while True:
                try:
                    sent = yield waited_for
                except GeneratorExit:
                    coroutine.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to the coroutine, whatever it is
                    waited_for = run(coroutine.throw, error)
                else:
                    waited_for = run(coroutine.send, sent)
        except StopIteration as ended:
            result: T = ended.value
            return result


def begin(coroutine: Coroutine[object, object, T], context: Context | None = None) -> Ended[T] | Waiting[T]:
    """Run it until it ends or waits, with the context variables of `context` all along; left out: the current ones.

    Raises what it raises.
    """
    try:
        waited_for = coroutine.send(None) if context is None else context.run(coroutine.send, None)
    except StopIteration as ended:
        return Ended(ended.value)
    return Waiting(coroutine, context, waited_for)


def _here(step: Callable[[S], object], given: S) -> object:
    return step(given)
