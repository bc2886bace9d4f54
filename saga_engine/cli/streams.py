"""The standard streams: there are three, whatever closed ones the process was started with.

A closed one is None to Python, and the next file that is opened gets its number. Knows no command.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TextIO, cast


def open_streams() -> None:
    """Open those that are closed on nothing, as `</dev/null` and `>/dev/null` do; what cannot be encoded is escaped."""
    # In order: each takes the lowest number that is free, which is its own.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _stream(number: int, mode: str) -> TextIO:
    # Open for as long as the process lives, as Python's own are.
    return cast(TextIO, open(number, mode, encoding="utf-8", closefd=False))
