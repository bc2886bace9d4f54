"""A command of the CLI on a terminal of its own, and what that terminal gets.

Owns the pseudo-terminal. Knows nothing of what is shown.
"""

from __future__ import annotations

import os
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.acceptance.projects import SAGA, eventually


class OnTerminal:
    """A `saga` process whose stdin, stdout and stderr are a terminal."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], rows: int, columns: int
    ) -> None:
        self._terminal, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (rows, columns))
        self.process = subprocess.Popen(
            [str(SAGA), *arguments],
            cwd=folder,
            env={**environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.shown = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        # Linux ends a terminal that nobody has open any more with EIO, others with nothing.
        with suppress(OSError):
            while some := os.read(self._terminal, 65_536):
                self.shown += some

    def wait_for(self, text: str) -> None:
        eventually(lambda: text.encode() in self.shown, f"{text!r} on the terminal")

    def wait(self, patience: float) -> int:
        """Wait until the process has ended and all that it wrote was read; its exit code."""
        code = self.process.wait(patience)
        self._reader.join()
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._terminal)


@contextmanager
def on_terminal(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, rows: int = 30, columns: int = 100
) -> Iterator[OnTerminal]:
    """The process, ended at the end."""
    made = OnTerminal(arguments, folder, environment, rows, columns)
    try:
        yield made
    finally:
        made.close()
