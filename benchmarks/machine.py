"""What the machine is, and what processes cost it: CPU time and memory as Linux says it in /proc.

Owns the reading of /proc. Knows no workload.
"""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_CORES: Final = os.cpu_count() or 1
_KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What an interval cost. `cpu_s`: by role; `foreign`: share of all cores that other programs took, 0 to 1."""

    wall_s: float
    cpu_s: Mapping[str, float]
    foreign: float

    def per_saga(self, sagas: int) -> Mapping[str, float]:
        """CPU microseconds per saga of each role, as figures of a record, and of all together."""
        figures = {f"cpu_us.{role}": spent / sagas * 1e6 for role, spent in self.cpu_s.items()}
        return {**figures, "cpu_us.all": sum(figures.values())}


class Meter:
    """Measures an interval from when it is made. `roles`: the first process of each; its descendants count with it.

    `own`: the role of this process, whose descendants have roles of their own.
    """

    def __init__(self, roles: Mapping[str, int], own: str) -> None:
        self._roles = dict(roles)
        self._own = own
        self._cpu = self._by_role()
        self._foreign = self._others()
        self._began = time.perf_counter()

    def stop(self) -> Usage:
        wall = time.perf_counter() - self._began
        cpu = {role: spent - self._cpu[role] for role, spent in self._by_role().items()}
        foreign = sum(spent - self._foreign.get(pid, 0.0) for pid, spent in self._others().items())
        return Usage(wall, cpu, foreign / wall / _CORES)

    def _by_role(self) -> dict[str, float]:
        return {self._own: time.process_time(), **{role: cpu_seconds(pid) for role, pid in self._roles.items()}}

    def _others(self) -> dict[int, float]:
        """The CPU time of every program that is not ours. Kernel threads, which have no command line, are not counted:

        what they do, they may do for us.
        """
        ours = {os.getpid(), *(pid for first in self._roles.values() for pid in _family(first))}
        return {pid: _own_cpu(pid) for pid in _processes() if pid not in ours and _command_line(pid)}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants, those that have ended included."""
    return sum(_own_cpu(one, ended_children=True) for one in _family(pid))


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process had resident so far, in MB (10^6 bytes)."""
    return _status_kib(pid, "VmHWM") * _KIB / 1e6


def memory_mb(pid: int) -> float:
    """The memory that a process has resident now, in MB (10^6 bytes)."""
    return _status_kib(pid, "VmRSS") * _KIB / 1e6


def description() -> Mapping[str, str]:
    """What a reader must know of this machine to compare figures."""
    memory = int(_field(_PROC / "meminfo", "MemTotal").split()[0]) * _KIB / 2**30
    return {
        "processor": _field(_PROC / "cpuinfo", "model name"),
        "cores": str(_CORES),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }


def _own_cpu(pid: int, *, ended_children: bool = False) -> float:
    """0 for a process that has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # The second field is the name in parentheses, which may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11 : 15 if ended_children else 13])) / _TICKS_PER_S
    return 0.0


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in children.read_text().split():
                yield from _family(int(child))


def _processes() -> Sequence[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]


def _command_line(pid: int) -> bytes:
    with suppress(FileNotFoundError, ProcessLookupError):
        return (_PROC / str(pid) / "cmdline").read_bytes()
    return b""


def _status_kib(pid: int, name: str) -> int:
    return int(_field(_PROC / str(pid) / "status", name).split()[0])


def _field(path: Path, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", path.read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{path} has no line {name!r}; the benchmarks are measured on Linux")
    return found[1]
