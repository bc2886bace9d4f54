"""The calls of handlers in threads: which commands each works on, since when, and which of them hang.

Knows nothing of what a call does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from saga_engine.envelope import Command
from saga_engine.participant.threads import HandlerThreads
from saga_engine.ports.clock import Clock
from saga_engine.ports.store import RunSync

T = TypeVar("T")

LONGEST_RUN_US: Final = 600_000_000
"""After so long, and past the deadlines of its commands, a call is taken to hang."""


@dataclass(eq=False, slots=True)
class Call:
    """One call. `began` in microseconds, None while it waits for a thread."""

    commands: Sequence[Command]
    began: int | None = None
    hanging: bool = False


class HandlerCalls:
    """Runs calls by `run_sync`. `threads`: those that it uses, where each call that hangs has to be replaced."""

    def __init__(self, run_sync: RunSync, clock: Clock, threads: HandlerThreads | None = None) -> None:
        self.run_sync = run_sync
        self._clock = clock
        self._threads = threads
        self._open: set[Call] = set()

    @property
    def hanging(self) -> int:
        """How many calls hang: so many more may run beside them."""
        return sum(call.hanging for call in self._open)

    async def run(self, commands: Sequence[Command], work: Callable[[], T]) -> T:
        """Do the work for these commands in a thread."""
        call = Call(commands)
        self._open.add(call)
        try:
            return await self.run_sync(partial(self._begin, call, work))
        finally:
            self._open.remove(call)
            if call.hanging and self._threads is not None:
                self._threads.take_back()

    def give_up(self, now: int) -> Sequence[Call]:
        """Those that are found to hang now, for the first time. Others take their threads' places."""
        found = [call for call in self._open if not call.hanging and _hangs(call, now)]
        for call in found:
            call.hanging = True
            if self._threads is not None:
                self._threads.replace_one()
        return found

    def _begin(self, call: Call, work: Callable[[], T]) -> T:
        call.began = self._clock.now()
        return work()


def _hangs(call: Call, now: int) -> bool:
    latest = max(command.deadline for command in call.commands)
    return call.began is not None and now > max(call.began + LONGEST_RUN_US, latest)
