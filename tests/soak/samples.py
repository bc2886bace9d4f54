"""What a process holds on to, read from /proc: memory, descriptors, connections, threads.

Linux only. Owns one look at one process. Knows nothing of slopes and limits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One look, `at` seconds into the soak."""

    at: float
    memory_kib: int
    descriptors: int
    connections: int
    threads: int


def sample(pid: int, at: float) -> Sample:
    """What a process holds now.

    Raises:
        ProcessLookupError: it has ended.
    """
    folder = Path("/proc") / str(pid)
    try:
        resident = int((folder / "statm").read_text().split()[1]) * _PAGE_KIB
        threads = sum(1 for _ in (folder / "task").iterdir())
        links = [_target(link) for link in (folder / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError, IndexError):
        raise ProcessLookupError(f"process {pid} has ended") from None
    open_now = [link for link in links if link]
    return Sample(at, resident, len(open_now), sum(link.startswith("socket:") for link in open_now), threads)


def children(pid: int) -> list[int]:
    """The processes that one has started and that still run."""
    tasks = (Path("/proc") / str(pid) / "task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _target(link: Path) -> str:
    """What a descriptor leads to; empty when it was closed while we looked."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""
