"""A simulated process: its tasks, its death without clean-up, its pauses, and the one way out of itself to a port.

Owns life and death. Knows no port; what strikes it is the striker's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy.util import await_only, greenlet_spawn

from tests.simulation.faults import Point, Strike, Striker

T = TypeVar("T")

# Of any result: tasks are invariant in theirs.
_Task: TypeAlias = asyncio.Task[Any]

_CURRENT: Final[ContextVar[Process | None]] = ContextVar("process", default=None)


class ProcessKilledError(BaseException):
    """Raised in a process that is dead, wherever it tries to do something. Nobody must catch it: it ends its tasks."""


class Process:
    """One life of a process. `cross` and `crossed` are passed at every port call, from blocking and from async code.

    `on_death` is called once, at a kill, in the same instant.
    """

    def __init__(self, name: str, role: str, striker: Striker) -> None:
        self.name = name
        self.role = role
        self.striker = striker
        self.alive = True
        self.on_death: list[Callable[[], None]] = []
        self._tasks: dict[_Task, None] = {}
        self._running = asyncio.Event()
        self._running.set()

    def start(self, main: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run something in this process; every task that it makes belongs to the process too."""
        context = copy_context()
        context.run(_CURRENT.set, self)
        task = asyncio.get_running_loop().create_task(main, context=context)
        # The task factory still sees the context of who starts it.
        self.owns(task)
        return task

    def owns(self, task: _Task) -> None:
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    @property
    def tasks(self) -> int:
        """How many tasks it has."""
        return len(self._tasks)

    def kill(self) -> None:
        """As `kill -9`: from now on nothing that it does has any effect, its clean-up included."""
        if not self.alive:
            return
        self.alive = False
        for task in list(self._tasks):
            task.cancel()
        self._running.set()
        for told in self.on_death:
            told()

    def pause(self) -> None:
        """As SIGSTOP: it stops where it crosses to a port next, and does not know it."""
        if self.alive:
            self._running.clear()

    def go_on(self) -> None:
        self._running.set()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def die(self) -> ProcessKilledError:
        """Kill it from inside; what to raise then."""
        self.kill()
        return ProcessKilledError(self.name)

    def cross(self, point: Point, *, lingers: bool = False) -> Strike | None:
        """Blocking code leaves for a port. What the port must do to it, but for a kill, which is done here.

        `lingers`: time may pass here, so that others come in between.
        """
        self.check()
        if lingers:
            latency = self.striker.latency()
            if latency or self.paused:
                await_only(self._linger(latency))
        return self._struck(point)

    async def crossed(self, point: Point) -> Strike | None:
        """Async code leaves for a port; as `cross`."""
        self.check()
        latency = self.striker.latency()
        if latency or self.paused:
            await self._linger(latency)
        return self._struck(point)

    def block(self, seconds: float) -> None:
        """Blocking code waits."""
        await_only(self._linger(seconds))

    def check(self) -> None:
        if not self.alive:
            raise ProcessKilledError(self.name)

    def run_sync(self, call: Callable[[], T], /) -> Awaitable[T]:
        """`ports.RunSync` in virtual time: the call may cross to ports and wait there, while others go on.

        As with a thread, it begins at once, and cancelling the wait does not stop what has begun.
        """
        running = _spawn(call)
        try:
            waits_for = running.send(None)
        except StopIteration as done:
            return _Over(value=done.value)
        except BaseException as error:  # noqa: BLE001 - carried to who awaits it, whatever it is
            return _Over(error=error)
        rest = asyncio.get_running_loop().create_task(_goes_on(running, waits_for))
        rest.add_done_callback(_heard)
        return asyncio.shield(rest)

    async def _linger(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)
        while self.paused:
            await self._running.wait()
        self.check()

    def _struck(self, point: Point) -> Strike | None:
        strike = self.striker.strike(self.name, point)
        if strike is Strike.KILL:
            raise self.die()
        return strike


def _heard(call: asyncio.Task[T]) -> None:
    """What a call raises that nobody waits for any more is nobody's, as in a thread."""
    if not call.cancelled():
        call.exception()


async def _spawn(call: Callable[[], T]) -> T:
    result: T = await greenlet_spawn(call)
    return result


@dataclass(frozen=True, slots=True)
class _Over(Generic[T]):
    """A call that has come to its end already, which is told after others have had their turn."""

    value: T | None = None
    error: BaseException | None = None

    def __await__(self) -> Generator[None, None, T]:
        yield
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # without an error there is a value, which may be None


@dataclass(frozen=True, slots=True)
class _Rest(Generic[T]):
    """What is left of a coroutine that was begun outside of a task and waits for a future."""

    running: Coroutine[object, object, T]
    waits_for: object

    def __await__(self) -> Generator[object, None, T]:
        waits_for = self.waits_for
        while True:
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - passed on to the coroutine, as `yield from` does
                step = partial(self.running.throw, error)
            else:
                step = partial(self.running.send, None)
            try:
                waits_for = step()
            except StopIteration as done:
                value: T = done.value
                return value


async def _goes_on(running: Coroutine[object, object, T], waits_for: object) -> T:
    return await _Rest(running, waits_for)


def adopt(loop: asyncio.AbstractEventLoop, coro: Coroutine[object, object, T], **options: object) -> asyncio.Task[T]:
    """A task factory that gives every task to the process that made it."""
    task: asyncio.Task[T] = asyncio.Task(coro, loop=loop, **options)  # type: ignore[arg-type]  # passed on as given
    process = _CURRENT.get()
    if process is not None:
        process.owns(task)
    return task
