"""`python -m tests.chaos.ambiguous_run --commits n`: so many ambiguous commits in each lane, and a line of figures.

Exit code 1 when anything was lost or doubled, or when less than a third or more than two thirds were applied.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.chaos.ambiguous import Figures, at_the_inbox, at_the_store
from tests.databases import DIALECT, POSTGRES, SQLITE, Databases, migrated, new_databases, postgres_server

LANES: Final = (SQLITE, POSTGRES, DIALECT)
COMMITS: Final = 10_000
_HALF: Final = (1 / 3, 2 / 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all lanes, half of the commits at the store and half at the inbox."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.ambiguous_run", description=__doc__)
    parser.add_argument("--commits", type=int, default=COMMITS, help=f"in each lane; default {COMMITS}")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    total, good = Figures(), True
    with postgres_server() as server, new_databases(server, drop=False) as new, tempfile.TemporaryDirectory() as folder:
        databases = Databases(lambda _lane: new)
        for lane in LANES:
            database = migrated(databases.empty(lane, Path(folder)))
            figures = at_the_store(database, given.commits // 2, given.seed)
            figures += at_the_inbox(databases.empty(lane, Path(folder)), given.commits - given.commits // 2, given.seed)
            good = good and _good(figures)
            total += figures
            print(f"{lane}: {_line(figures)}", flush=True)  # noqa: T201 - a program of its own
    print(_line(total))  # noqa: T201 - as above
    return 0 if good else 1


def _good(figures: Figures) -> bool:
    least, most = (share * figures.ambiguous for share in _HALF)
    return figures.lost == figures.doubled == 0 and least <= figures.applied <= most


def _line(figures: Figures) -> str:
    return (
        f"acknowledged={figures.acknowledged} refused={figures.refused} ambiguous={figures.ambiguous} "
        f"applied={figures.applied} lost={figures.lost} doubled={figures.doubled}"
    )


if __name__ == "__main__":
    sys.exit(main())
