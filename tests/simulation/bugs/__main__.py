"""`python -m tests.simulation.bugs`: hunts every seeded bug, and says what caught each and after how many schedules.

Owns the command line and the processes. The last line of its output is its verdict.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Final

from tests.simulation.bugs.catalogue import CATALOGUE
from tests.simulation.bugs.hunt import MOST_SCHEDULES, Trail, hunt
from tests.simulation.bugs.kept import keep

_BY_NAME: Final = {bug.name: bug for bug in CATALOGUE}


def main() -> int:
    """Hunt what the arguments say. 1: a bug has survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.bugs", description=__doc__)
    parser.add_argument("--most", type=int, default=MOST_SCHEDULES, help="schedules for each bug, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--only", default="", help="hunt those with these words in their names")
    parser.add_argument("--keep", action="store_true", help="keep what comes of it, for the documentation")
    arguments = parser.parse_args()
    os.nice(10)
    names = [name for name in _BY_NAME if arguments.only in name]
    if not names:
        parser.error(f"no bug has {arguments.only!r} in its name; there are: {', '.join(_BY_NAME)}")
    if arguments.keep and len(names) < len(_BY_NAME):
        parser.error("--keep keeps the hunt for all bugs: leave out --only")
    found = {trail.name: trail for trail in _hunted(names, arguments.most, arguments.jobs)}
    trails = [found[name] for name in names]
    print(*_lines(trails), sep="\n")
    if arguments.keep:
        keep(trails)
    survivors = sum(not trail.caught for trail in trails)
    schedules = sum(trail.schedule or arguments.most for trail in trails)
    print(f"bugs={len(trails)} caught={len(trails) - survivors} schedules={schedules} survived={survivors}")
    return 1 if survivors else 0


def _hunted(names: Sequence[str], most: int, jobs: int) -> Iterator[Trail]:
    """The trails as they end, with progress on stderr."""
    with ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(_hunt, name, most) for name in names]):
            trail = future.result()
            said = f"schedule {trail.schedule}: {trail.violation}" if trail.caught else "SURVIVED"
            print(f"{trail.name}: {said}", file=sys.stderr, flush=True)
            yield trail


def _hunt(name: str, most: int) -> Trail:
    return hunt(_BY_NAME[name], most)


def _lines(trails: Sequence[Trail]) -> Iterator[str]:
    yield f"{'bug':56} {'caught by':20} {'schedule':>8} {'states':>7} {'CPU s':>7}"
    for trail in trails:
        by = ", ".join(trail.invariants) if trail.caught else "SURVIVED"
        states = "" if trail.states is None else trail.states
        yield f"{trail.name:56} {by:20} {trail.schedule or '':>8} {states:>7} {trail.seconds:7.1f}"


if __name__ == "__main__":
    sys.exit(main())
