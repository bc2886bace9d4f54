"""`saga watch` beside a `saga run`, as a person has it: on a terminal until Ctrl-C, in a pipe until the saga ends."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.acceptance.conftest import MakeProject
from tests.acceptance.projects import PATIENCE, REPOSITORY, SAGA, Project, eventually

ORDER = '{"order_id": "o-1", "customer_id": "c-1", "amount": 1000}'
SHOW_CURSOR = b"\x1b[?25h"


class Watching:
    """A `saga watch` on a terminal, and what the terminal has got so far."""

    def __init__(self, project: Project, arguments: Sequence[str]) -> None:
        self._terminal, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (30, 100))
        environment = {**project.environment, "TERM": "xterm"}
        command = [str(SAGA), "watch", *arguments]
        self.process = subprocess.Popen(
            command, cwd=project.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
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

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._terminal)


@contextmanager
def watching(project: Project, *arguments: str) -> Iterator[Watching]:
    made = Watching(project, arguments)
    try:
        yield made
    finally:
        made.close()


def test_all_sagas_are_watched_on_a_terminal_until_ctrl_c(project: MakeProject) -> None:
    made = project(REPOSITORY)
    assert made.saga("db", "upgrade").returncode == 0
    with watching(made) as watched:
        watched.wait_for("open 0")
        assert made.saga("start", "place_order", "--input", ORDER).returncode == 0
        watched.wait_for("oldest open place_order o-1")
        made.run()
        watched.wait_for("completed")
        watched.process.send_signal(signal.SIGINT)
        assert watched.process.wait(PATIENCE) == 130
    assert SHOW_CURSOR in watched.shown
    assert b"Traceback" not in watched.shown
    assert watched.shown.rstrip().endswith(b"Error: interrupted")


def test_one_saga_is_watched_in_a_pipe_until_it_ends(project: MakeProject) -> None:
    made = project(REPOSITORY)
    declined = ORDER.replace("1000", "99999999")
    assert made.saga("start", "place_order", "--input", declined).returncode == 0
    watch = subprocess.Popen(
        [str(SAGA), "watch", "o-1"], cwd=made.folder, env=made.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        made.run()
        out, _ = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        watch.wait()
    assert watch.returncode == 5
    lines = out.splitlines()
    assert lines[0].startswith("place_order  o-1  running  for ")
    assert lines[-1] == "place_order o-1 is compensated"
    assert sum("debit_payment  rejected: card_declined" in line for line in lines) == 1
    assert "\x1b" not in out
