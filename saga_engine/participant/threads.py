"""The threads that handlers run in. They are daemons: a handler that hangs must not keep its process from ending."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Callable[[], None]


class HandlerThreads:
    """At most `count` threads as a `RunSync`, not counting those that hang.

    A call that the end of the process cuts off was not committed.
    """

    def __init__(self, name: str, count: int) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[Work | None] = deque()
        """What no thread is free for; None lets one end."""
        self._free: list[SimpleQueue[Work | None]] = []
        """A queue for each thread that is free: of one that all wait at, each call wakes two of them."""
        self._name = name
        self._count = count
        self._started = 0

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Run `call` in one of the threads. Cancelling the wait does not stop a call that has begun."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - carried to the waiting task, whatever it is
                _tell(loop, partial(_fail, future, error))
            else:
                _tell(loop, partial(_fulfil, future, result))

        if not self._hand_over(work) and self._started < self._count:
            self._start()
        return future

    def replace_one(self) -> None:
        """One of the threads hangs in its call: another takes its place, until `take_back`."""
        self._count += 1
        if self._waiting:
            self._start()

    def take_back(self) -> None:
        """The thread that hung is free again, so that there is one too many."""
        self._count -= 1
        if self._started > self._count:
            self._started -= 1
            self._hand_over(None)

    def close(self) -> None:
        """Let the threads end when they are free."""
        for _ in range(self._started):
            self._hand_over(None)

    def _hand_over(self, work: Work | None) -> bool:
        """Give it to the thread that has become free last, whose memory is the warmest; False: it waits for one."""
        with self._guard:
            if not self._free:
                self._waiting.append(work)
                return False
            free = self._free.pop()
        free.put(work)
        return True

    def _start(self) -> None:
        self._started += 1
        threading.Thread(target=self._work, name=f"{self._name}-handler-{self._started}", daemon=True).start()

    def _work(self) -> None:
        own: SimpleQueue[Work | None] = SimpleQueue()
        while (work := self._next(own)) is not None:
            work()

    def _next(self, own: SimpleQueue[Work | None]) -> Work | None:
        with self._guard:
            if self._waiting:
                return self._waiting.popleft()
            self._free.append(own)
        return own.get()


def _fulfil(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # The loop is closed: the worker stopped waiting and handed the command back.
        if not loop.is_closed():
            raise
