"""Progress on a terminal's stderr: it is seen there, is gone in the end, and touches neither pipes nor data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from saga_engine.cli.progress import progress
from tests.unit.cli.test_imports import DEFINITION

COMMAND = [sys.executable, "-m", "saga_engine"]


@pytest.fixture
def greeting(project: Path) -> Path:
    (project / "definitions").mkdir()
    (project / "definitions" / "greet.yaml").write_text(DEFINITION, encoding="utf-8")
    return project


def on_terminal(arguments: list[str], given: str, code: int = 0, **environment: str) -> tuple[str, str]:
    """What a command that succeeds writes to a pipe on stdout, and to a terminal on stderr."""
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    shown: list[bytes] = []
    # Read while it is written: a terminal that nobody reads makes its writer wait.
    reader = threading.Thread(target=lambda: shown.extend(_read_all(ours)))
    reader.start()
    try:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input=given,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "TERM": "xterm", **environment},
        )
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
    assert done.returncode == code, shown
    return done.stdout, b"".join(shown).decode()


def _read_all(terminal: int) -> Iterator[bytes]:
    # Linux ends a terminal that nobody has open any more with EIO, others with nothing.
    with suppress(OSError):
        while some := os.read(terminal, 65_536):
            yield some


def test_a_bar_is_drawn_on_stderr_while_the_data_goes_to_the_pipe(greeting: Path) -> None:
    lines = "".join(json.dumps({"name": f"n-{number}"}) + "\n" for number in range(600))
    out, shown = on_terminal(["start", "greet", "--input", "-", "-o", "jsonl"], lines)
    assert [json.loads(line)["key"] for line in out.splitlines()] == [f"n-{number}" for number in range(600)]
    assert "started 600" in shown
    assert shown.rstrip().endswith("\x1b[2K"), "what was drawn is wiped out"


def test_what_a_verb_does_to_many_is_told_as_it_goes_on(greeting: Path) -> None:
    lines = "".join(json.dumps({"name": f"n-{number}"}) + "\n" for number in range(120))
    on_terminal(["start", "greet", "--input", "-"], lines)
    out, shown = on_terminal(["cancel", "--saga", "greet", "--yes", "--why", "a test"], "")
    assert "cancel 120 of 120" in shown
    assert "\x1b" not in out


def test_verify_says_how_much_it_has_seen(greeting: Path) -> None:
    out, shown = on_terminal(["verify", "definitions/greet.yaml"], "")
    assert out.startswith("definitions/greet.yaml: proved")
    assert "\x1b[2K" in shown


def test_no_colour_is_used_where_the_environment_says_so(greeting: Path) -> None:
    _, shown = on_terminal(["verify", "definitions/greet.yaml"], "", NO_COLOR="1")
    assert "\x1b[3" not in shown.replace("\x1b[?25", "")


def test_what_is_refused_stays_above_the_bar_whole(greeting: Path) -> None:
    refused = json.dumps({"name": "ann", "why": "b" * 150, "no such": "[bold]"})[:-1]
    _, shown = on_terminal(["start", "greet", "--input", "-"], f'{{"name": "ann"}}\n{refused}\n', code=1)
    (line,) = [line for line in shown.splitlines() if "stdin:2: " in line]
    assert line.rpartition("\x1b[2K")[2].startswith("stdin:2: $: E306 not JSON")
    assert "started 1, there already 0, refused 1" in shown


def test_nothing_is_written_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("working") as bar:
        bar.report("half", 1, 2)
        bar.note("look at this")
    assert capsys.readouterr() == ("", "look at this\n")
