"""`python -m tests.chaos.ambiguous_run --commits n`: so many ambiguous commits in each lane, and a line of figures.

Owns the lanes, a process each. Exit code 1 when anything was lost or doubled, or when less than a third or more than
two thirds were applied.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from tests.chaos.ambiguous import Figures, at_the_inbox, at_the_store
from tests.databases import DIALECT, POSTGRES, SQLITE, Database, Databases, migrated, new_databases, postgres_server

LANES: Final = (SQLITE, POSTGRES, DIALECT)
COMMITS: Final = 10_000
_HALF: Final = (1 / 3, 2 / 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all lanes beside each other, half of the commits at the store and half at the inbox."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.ambiguous_run", description=__doc__)
    parser.add_argument("--commits", type=int, default=COMMITS, help=f"in each lane; default {COMMITS}")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    began = time.monotonic()
    figures: dict[str, Figures] = {}
    # Not forked: a process with threads and connections of the server's client is no good parent.
    spawning = multiprocessing.get_context("spawn")
    with (
        postgres_server() as server,
        new_databases(server, drop=False) as new,
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(len(LANES), spawning) as processes,
    ):
        databases = Databases(lambda _lane: new)
        running = {}
        for lane in LANES:
            store, inbox = (databases.empty(lane, Path(folder)) for _ in range(2))
            running[processes.submit(_run_lane, store, inbox, given.commits, given.seed)] = lane
        for done in as_completed(running):
            lane = running[done]
            figures[lane] = done.result()
            _say(f"{lane}: {_line(figures[lane])} after {time.monotonic() - began:.0f} s")
    _say("; ".join(f"{lane}: {_short(figures[lane])}" for lane in LANES))
    return 0 if all(map(_good, figures.values())) else 1


def _run_lane(store: Database, inbox: Database, commits: int, seed: int) -> Figures:
    """In a process of its own."""
    figures = at_the_store(migrated(store), commits // 2, seed)
    return figures + at_the_inbox(inbox, commits - commits // 2, seed)


def _good(figures: Figures) -> bool:
    least, most = (share * figures.ambiguous for share in _HALF)
    return figures.lost == figures.doubled == 0 and least <= figures.applied <= most


def _line(figures: Figures) -> str:
    return (
        f"acknowledged={figures.acknowledged} refused={figures.refused} ambiguous={figures.ambiguous} "
        f"applied={figures.applied} lost={figures.lost} doubled={figures.doubled}"
    )


def _short(figures: Figures) -> str:
    return f"commits={figures.ambiguous} lost={figures.lost} doubled={figures.doubled}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program of its own


if __name__ == "__main__":
    sys.exit(main())
