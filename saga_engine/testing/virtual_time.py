"""An event loop whose time is a number: it jumps to the next timer as soon as nothing else can run.

Owns time and its passing. Knows nothing of sagas; there are no sockets and no threads in virtual time.
"""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BEGIN: Final = 1_700_000_000_000_000
"""When virtual time begins, in microseconds since 1970: always the same, so that a test runs alike every day."""

_MICROSECOND: Final = 0.000_001
_MOST_TURNS: Final = 200_000
"""How often the loop may turn before time passes."""


class DeadlockError(Exception):
    """Nothing can happen any more: every task waits, and none of them for a time. The text lists what they wait for."""


class LivelockError(Exception):
    """Something happens again and again without time passing."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time, which begins at 0.0 seconds.

    `run_until_complete` lets time pass by itself: when nothing can run, it jumps to the next timer; `DeadlockError`
    when there is none, `LivelockError` when something never waits. `settle`, `idle_until` and `advance` are for who
    wants to let time pass himself. Blocking calls (`run_in_executor`, `asyncio.to_thread`) run at once, in order;
    opening a connection is refused.
    """

    def __init__(self) -> None:
        self._moment = _Moment()
        super().__init__(self._moment)
        # Times are sums of floats: what is due within less than this is due.
        self._clock_resolution = _MICROSECOND
        self._moment.begin(self._nothing_ready)
        self._settling = False
        self._idle_for: float | None = None

    def time(self) -> float:
        return self._moment.now

    def settle(self) -> None:
        """Run everything that can run without time passing."""
        self._settling = True
        try:
            self.run_forever()
        finally:
            self._settling = False

    @property
    def idle_until(self) -> float | None:
        """When, as far as the last `settle` knows, something can run next (at the latest a day on); None: never."""
        return None if self._idle_for is None else self._moment.now + self._idle_for

    def advance(self, to: float) -> None:
        """Make it `to` (seconds), never earlier than it is. What falls due by that runs with the next `settle`."""
        self._moment.now = max(self._moment.now, to)
        self._moment.turns = 0

    def run_in_executor(self, _executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run it now, in this thread: nothing else goes on meanwhile."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(contextvars.copy_context().run(func, *args))
        except Exception as error:  # noqa: BLE001 - carried to who awaits it, whatever it is
            future.set_exception(error)
        return future

    def _nothing_ready(self, timeout: float | None) -> None:
        """Nothing can run now; the first timer is `timeout` seconds away (None: there is none)."""
        if self._settling:
            self._idle_for = timeout
            self.stop()
        elif timeout is None:
            raise DeadlockError(_waiting(self))
        else:
            self.advance(self._moment.now + timeout)


class VirtualClock:
    """`ports.Clock` in the time of a virtual loop, as the time of the store: microseconds since 1970."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> int:
        return BEGIN + round(self._loop.time() * 1_000_000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(main: Coroutine[object, object, T]) -> T:
    """Run a coroutine in virtual time, as `asyncio.run` does in real time.

    Raises:
        DeadlockError: it cannot come to an end, because nothing can happen any more.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class _NothingReady(Protocol):
    def __call__(self, timeout: float | None, /) -> None: ...


class _Moment(selectors.BaseSelector):
    """The selector that does not wait: it asks what to do instead. It watches the loop's own wake-up pipe only."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = 0
        self._nothing_ready: _NothingReady | None = None
        self._real = selectors.DefaultSelector()

    def begin(self, nothing_ready: _NothingReady) -> None:
        self._nothing_ready = nothing_ready

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        if self.turns > _MOST_TURNS:
            raise LivelockError(f"no time passes any more after {self.now} s of virtual time: something never waits")
        if timeout == 0:
            # Something can run already; the pipe is asked, which costs a call of the system, when nothing can.
            return []
        ready = self._real.select(0)
        if not ready and self._nothing_ready is not None:
            self._nothing_ready(timeout)
        return ready

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        if self._nothing_ready is not None:
            raise RuntimeError(
                "there is no network in virtual time: give the handler what it needs through its participant, "
                "or test it against the real thing with `saga run`"
            )
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()


def _waiting(loop: VirtualLoop) -> str:
    lines = [f"nothing can happen any more after {loop.time()} s of virtual time; these tasks wait:"]
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    for task in tasks:
        frames = task.get_stack(limit=1)
        place = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "not begun"
        lines.append(f"  {task.get_name()}  {task.get_coro()!r} at {place}")
    return "\n".join(lines)
