"""`python -m tests.simulation`: many schedules on all cores, what they showed, and each failing one shrunk.

Owns the command line and the processes. The last line of its output is its verdict.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from tests.simulation.calls import run_courses
from tests.simulation.minimum import missing
from tests.simulation.report import report
from tests.simulation.run import run_seed
from tests.simulation.shrink import shrink

_CHUNK: Final = 20
_SHOWN_FAILURES: Final = 3
_PROGRESS_S: Final = 5.0


@dataclass(slots=True)
class Total:
    """What came of schedules. `failed`: seeds (or calls) with violations; `violations` counts those."""

    schedules: int = 0
    sagas: int = 0
    faults: int = 0
    violations: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)

    def add(self, other: Total) -> None:
        self.schedules += other.schedules
        self.sagas += other.sagas
        self.faults += other.faults
        self.violations += other.violations
        self.counts += other.counts
        self.failed += other.failed

    def __str__(self) -> str:
        return f"schedules={self.schedules} sagas={self.sagas} faults={self.faults} violations={self.violations}"


def run_seeds(seeds: Sequence[int]) -> Total:
    """Run schedules in this process."""
    total = Total()
    for seed in seeds:
        result = run_seed(seed)
        one = Total(1, result.counts["sagas"], len(result.hits), len(result.violations), result.counts)
        total.add(one)
        if result.violations:
            total.failed.append(seed)
            print(f"seed {seed}: {result.violations[0]}", file=sys.stderr, flush=True)
    return total


def simulate(first: int, count: int, jobs: int) -> Total:
    """Run the schedules of `count` seeds, with progress on stderr."""
    chunks = (range(begin, min(begin + _CHUNK, first + count)) for begin in range(first, first + count, _CHUNK))
    total, began, told = Total(), time.monotonic(), 0.0
    with ProcessPoolExecutor(jobs, initializer=_collect_seldom) as pool:
        for part in _in_turn(pool, chunks, 2 * jobs):
            total.add(part)
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                rate = total.schedules / (told - began)
                left = (count - total.schedules) / rate / 60
                print(f"{total} ({rate:.0f}/s, {left:.0f} min left)", file=sys.stderr, flush=True)
    return total


def _collect_seldom() -> None:
    """What this process has loaded stays for good, and a schedule leaves less behind than a collection would cost."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _in_turn(pool: ProcessPoolExecutor, chunks: Iterator[range], ahead: int) -> Iterator[Total]:
    """The totals of the chunks as they come, with so many under way at a time."""
    waiting: set[Future[Total]] = {pool.submit(run_seeds, chunk) for chunk in islice(chunks, ahead)}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
            waiting |= {pool.submit(run_seeds, chunk) for chunk in islice(chunks, 1)}


def _fail_calls(jobs: int) -> Total:
    """Fail every call of every course, with progress on stderr."""
    total = Total()
    for part in run_courses(jobs):
        total.add(Total(part.calls, part.sagas, part.calls, len(part.failures), part.counts))
        for failure in part.failures:
            print(failure)
        print(total, file=sys.stderr, flush=True)
    return total


def _explain(seed: int) -> None:
    failing = run_seed(seed)
    small = shrink(failing, lambda allowed: run_seed(seed, allowed=allowed))
    print(report(small, len(failing.hits)), flush=True)


def main() -> int:
    """Run what the arguments say. 1: a violation, or an empty pass."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many schedules")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--nth-call", action="store_true", help="fail every port call of the reference sagas instead")
    arguments = parser.parse_args()
    os.nice(10)
    began = time.monotonic()
    lacking: Sequence[str] = ()
    if arguments.nth_call:
        total = _fail_calls(arguments.jobs)
    else:
        total = simulate(arguments.first, arguments.seeds, arguments.jobs)
        lacking = missing(total.counts, arguments.seeds)
        for seed in sorted(total.failed)[:_SHOWN_FAILURES]:
            _explain(seed)
    for name, count in sorted(total.counts.items()):
        print(f"{name:32} {count:12,}")
    for line in lacking:
        print(f"an empty pass: {line}")
    took = time.monotonic() - began
    print(f"took {took / 60:.1f} min on {arguments.jobs} processes, {total.schedules / took:.1f} schedules/s")
    print(total)
    return 1 if total.violations or lacking else 0


if __name__ == "__main__":
    sys.exit(main())
