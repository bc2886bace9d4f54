"""How long a person waits for the command line: `saga --help`, and `saga validate` on a file of ten steps."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.definitions import chain
from benchmarks.engine import environment
from benchmarks.machine import Meter
from benchmarks.records import Figures
from benchmarks.stage import Stage

_RUNS: Final = 11
_COMMAND: Final = Path(sys.executable).parent / "saga"


async def measure(stage: Stage) -> tuple[Figures, float]:
    """Medians in milliseconds, of the time that passes and of the CPU time in it; with the foreign share."""
    file = stage.engine.folder / "ten_steps.yaml"
    file.write_text(chain("ten_steps", 10))
    meter = Meter({}, own="benchmark")
    figures: dict[str, float] = {}
    for name, arguments in (("help", ["--help"]), ("validate", ["validate", str(file)])):
        runs = [await asyncio.to_thread(_run, stage, arguments) for _ in range(_RUNS)]
        figures[f"{name}_ms"] = median(wall for wall, _ in runs) * 1e3
        figures[f"{name}_cpu_ms"] = median(cpu for _, cpu in runs) * 1e3
    return figures, meter.stop().foreign


def _run(stage: Stage, arguments: list[str]) -> tuple[float, float]:
    """Seconds that passed, and seconds of CPU."""
    began, spent = time.perf_counter(), _children_cpu()
    subprocess.run(
        [_COMMAND, *arguments],
        cwd=stage.engine.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began, _children_cpu() - spent


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
