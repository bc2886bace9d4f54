"""Follows a page as a reader does: writes its files, runs its commands in a folder, compares what they print.

Owns the meaning of the info strings: `title` writes a file, `sh` runs, the `text` behind it is what is printed,
`after-stop` says that the reader stopped `saga run`. A comment `# exit N` says how a command ends. What `make` would do
it is asked, no more: its targets are the whole suite, and this environment.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.acceptance.projects import PATIENCE, REPOSITORY, SAGA, Service
from tests.unit.docs.markdown import Block

_EXIT: Final = re.compile(r"#\s*exit (\d+)")
_VARIABLE: Final = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"), "TIME"),
    (re.compile(r"\d+(\.\d+)? s\b|\d+ min( \d+ s)?\b"), "DURATION"),
    (re.compile(r"[ \t]+"), " "),
)


class Walkthrough:
    """One reader in one folder."""

    def __init__(self, folder: Path, tools: Path) -> None:
        """`tools`: the folder of programs that the reader has put first on the path."""
        self.folder = folder
        self._saga = tools / "saga"
        self.done: list[str] = []
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        self.environment["PATH"] = f"{tools}{os.pathsep}{self.environment['PATH']}"
        self._service: Service | None = None
        self._variables: list[str] = []

    def follow(self, blocks: Sequence[Block]) -> None:
        """Do everything that the blocks say, in order."""
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            shown = following is not None and following.language == "text" and not following.illustration
            expected = following.text if following is not None and shown else None
            if block.illustration or block.language == "text":
                continue
            if block.title:
                self.write(block.title, block.text)
            elif block.language == "sh":
                self._run(block, expected)

    def write(self, name: str, text: str) -> None:
        """Write a file as the reader types it."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def close(self) -> None:
        if self._service is not None:
            self._service.close()
        self._service = None

    def _run(self, block: Block, expected: str | None) -> None:
        if block.stopped and self._service is not None:
            assert self._service.stop() == 0, self._service.log
            self.close()
        commands = [line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]
        printed = "".join(self._command(block, line) for line in commands)
        if expected is not None:
            assert settled(printed) == settled(expected), f"{block.place}: it prints otherwise"

    def _command(self, block: Block, line: str) -> str:
        self.done.append(line)
        if re.fullmatch(r"(\S*/)?saga run\s*(#.*)?", line):
            assert self._service is None, f"{block.place}: `saga run` is running already"
            self._service = Service([], self.folder, self.environment, self._saga)
            self._service.ready()
            return self._service.log.partition("{")[0]
        if re.match(r"\w+=", line):
            self._variables.append(line)
            return ""
        is_make = line.startswith("make ")
        script = [*self._variables, line.replace("make ", "make --dry-run ") if is_make else line]
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=REPOSITORY if is_make else self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        wanted = _EXIT.search(line)
        code = int(wanted[1]) if wanted is not None else 0
        assert done.returncode == code, f"{block.place}: {line}\n{done.stdout}{done.stderr}"
        return "" if is_make else done.stdout


def settled(text: str) -> list[str]:
    """The lines of an output without what differs from run to run: ids, times, durations, widths of columns."""
    for pattern, word in _VARIABLE:
        text = pattern.sub(word, text)
    return [line.strip() for line in text.strip().splitlines()]


def tools(folder: Path) -> Path:
    """A folder with a virtual environment's programs as a reader has them: ours."""
    venv = folder / ".venv"
    venv.symlink_to(SAGA.parents[1], target_is_directory=True)
    return venv / "bin"
