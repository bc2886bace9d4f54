"""One process of the system under chaos: started, killed, paused and continued by its recorded id, again and again.

Owns the process and the record of what was done to it. Knows no role: servers and `saga run` are told by their command.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saga_engine.adapters.embedded.child import die_with_parent
from saga_engine.audit.history import Record
from saga_engine.audit.records.surroundings import ProcessChange, ProcessChanged

END_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.02

Report = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `user` is the operating system's (None: ours)."""

    name: str
    role: str
    command: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]
    user: str | None = None


class Process:
    """A place in the fleet that one process at a time fills. Everything done to it is reported as a record.

    Forks: only for the main thread of a program without other threads, whose end would end the children.
    """

    def __init__(self, program: Program, report: Report) -> None:
        self.program = program
        self.generation = 0
        self.started_at = 0.0
        self._report = report
        self._running: subprocess.Popen[bytes] | None = None
        self._paused = False
        self._ending = False

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def pid(self) -> int | None:
        """The id of the process that runs now, paused or not."""
        return self._running.pid if self._running is not None and self._running.poll() is None else None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def died(self) -> bool:
        """Whether it ended although nobody ended it."""
        return self._running is not None and not self._ending and self._running.poll() is not None

    def start(self, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Start it; `command` and `environment`, where given, replace the program's this time."""
        assert self.pid is None, f"{self.name} runs"
        program = self.program
        with program.log.open("ab") as log:
            self._running = subprocess.Popen(
                list(command or program.command),
                cwd=program.folder,
                env={**program.environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=program.user,
                preexec_fn=die_with_parent(),
            )
        self.generation += 1
        self.started_at = time.time()
        self._tell(ProcessChange.STARTED)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        if (pid := self.pid) is not None:
            os.kill(pid, number)

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal that leaves it no choice."""
        await self._end(number, ProcessChange.KILLED)

    async def stop(self, within: float = END_TIMEOUT_S) -> int | None:
        """End it by SIGTERM; what it ended with. By force, and then None, when it does not end `within` seconds."""
        try:
            return await self._end(signal.SIGTERM, ProcessChange.STOPPED, within)
        except TimeoutError:
            await self.kill()
            return None

    def bury(self) -> int:
        """Report a process that died by itself, and make room for the next; what it ended with."""
        assert self._running is not None
        code = self._running.wait()
        self._running = None
        self._tell(ProcessChange.DIED)
        return code

    def pause(self) -> None:
        """SIGSTOP: its connections stay open, and it does nothing."""
        self.send(signal.SIGSTOP)
        self._paused = True
        self._tell(ProcessChange.PAUSED)

    def resume(self) -> None:
        """SIGCONT, if it was paused."""
        if self._paused:
            self.send(signal.SIGCONT)
            self._paused = False
            self._tell(ProcessChange.CONTINUED)

    async def _end(self, number: signal.Signals, change: ProcessChange, within: float = END_TIMEOUT_S) -> int:
        running = self._running
        assert running is not None, f"{self.name} does not run"
        self._ending = True
        try:
            self.send(number)
            if number is not signal.SIGKILL:
                self.resume()
            async with asyncio.timeout(within):
                # Nothing tells when: to wait in a thread would make every later fork one of a program with threads.
                while (code := running.poll()) is None:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL_S)
            self._running, self._paused = None, False
        finally:
            self._ending = False
        self._tell(change)
        return code

    def _tell(self, change: ProcessChange) -> None:
        self._report(ProcessChanged(self.name, self.program.role, change, time.time_ns() // 1_000))
