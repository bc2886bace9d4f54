"""One session with NATS: one TCP connection, used by all and thrown away whole when it ends.

Owns nats-py's client and what it leaves behind. Makes no connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from saga_engine.adapters.nats.client import FastClient
from saga_engine.adapters.nats.frames import repeated_frames

STATE_CHECK: Final = 0.1
"""How often, in seconds, the state of a session is looked at: nats-py's callbacks may come late or never."""

T = TypeVar("T")

OnMessage: TypeAlias = Callable[[Msg], Awaitable[None]]


@dataclass(eq=False, slots=True)
class Session:
    """One TCP connection. `ended` is set once it is of no more use."""

    client: FastClient
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    watchers: set[asyncio.Event] = field(default_factory=set)
    """Set as well when the session ends."""

    @property
    def alive(self) -> bool:
        return not self.ended.is_set() and self.client.is_connected

    def end(self) -> None:
        """Of no more use, from now on."""
        self.ended.set()
        for watcher in self.watchers:
            watcher.set()

    async def subscribe(self, subject: str, on_message: OnMessage, share: str = "") -> Subscription:
        """Subscribe for the life of this session; of those with the same `share`, each message goes to one.

        Raises nats-py's errors when the session has ended.
        """
        return await self.client.subscribe(subject, queue=share, cb=on_message)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; nothing happens when the session has ended."""
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()

    async def ask(self, question: Coroutine[object, object, T]) -> T:
        """Await an exchange with the server, no longer than this session lives: nats-py would wait its whole time-out.

        Raises `ConnectionClosedError` when the session ends first.
        """
        answer = asyncio.create_task(question)
        answer.add_done_callback(_retrieve)
        try:
            while not answer.done():
                await asyncio.wait((answer,), timeout=STATE_CHECK)
                if not answer.done() and not self.alive:
                    raise nats.errors.ConnectionClosedError
            return answer.result()
        finally:
            answer.cancel()

    async def wait_for_end(self) -> None:
        """Until it is of no more use: callbacks of nats-py come late or never when its own closing hangs."""
        while self.alive:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATE_CHECK):
                    await self.ended.wait()
        self.end()

    async def publish(self, subject: str, body: bytes = b"", reply: str = "") -> bool:
        """Hand over one message without headers; False when the session has ended."""
        return await self.publish_all([subject], body, reply)

    async def publish_all(self, subjects: Collection[str], body: bytes = b"", reply: str = "") -> bool:
        """The same message to many subjects; False when the session has ended."""
        try:
            await self.client.send([repeated_frames(subjects, reply, body)])
        except nats.errors.Error:
            return False
        return True

    async def discard(self, timeout: float) -> None:
        """Close within a bound and leave nothing behind, also when this is cancelled."""
        self.end()
        try:
            # RuntimeError: nats-py writes what it still has to a socket that uvloop has closed.
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError, RuntimeError):
                async with asyncio.timeout(timeout):
                    await self.client.close()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """End what a connection leaves behind that could not be closed.

        nats-py stops half-way when writing out its buffer to a dead socket raises, and then leaves these tasks and the
        socket behind for ever. There is no public way to end them.
        """
        left: object = getattr(self.client, "_subs", None)
        for subscription in tuple(left.values()) if isinstance(left, dict) else ():
            _end_tasks(subscription, "_wait_for_msgs_task")
        _end_tasks(self.client, "_reading_task", "_ping_interval_task", "_flusher_task")
        writer: object = getattr(getattr(self.client, "_transport", None), "_io_writer", None)
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.abort()


def _end_tasks(owner: object, *names: str) -> None:
    for name in names:
        task: object = getattr(owner, name, None)
        if isinstance(task, asyncio.Task) and task is not asyncio.current_task():
            task.cancel()
            task.add_done_callback(_retrieve)


def _retrieve(task: asyncio.Task[T]) -> None:
    """Look at the outcome, so that asyncio does not report an exception of a session that has ended anyway."""
    if not task.cancelled():
        task.exception()
