"""`python -m tests.chaos --minutes n`: a chaos run, its figures, and its last line.

Exit code 1 when it proves nothing or something was violated; then its folder is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saga_engine.audit.check import judge
from saga_engine.audit.files import read
from saga_engine.audit.grouping import group
from tests.chaos.faults import Act, Pace
from tests.chaos.measures import resources
from tests.chaos.nemesis import FULL_DECK, SHORT_DECK
from tests.chaos.run import Outcome, Run, Settings
from tests.chaos.verdict import count, growing, shown, too_little, too_slow

RATE: Final = 8.0
PATIENCE_S: Final = 180.0
BETWEEN_S: Final = 2.2
SHORT_PACE: Final = Pace(down=(0.0, 0.3), network=(0.5, 1.5))
SHORT_BETWEEN_S: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and tell what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults are done; default 5")
    parser.add_argument("--seed", type=int, default=None, help="of the faults and the load; default: a new one")
    parser.add_argument("--rate", type=float, default=RATE, help=f"sagas started a second; default {RATE:.0f}")
    parser.add_argument("--short", action="store_true", help="one fault after the other, from a deck of few")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="saga-chaos-"))
    # PostgreSQL runs as another user where we are root, and must reach its folder.
    folder.chmod(0o755)
    short: bool = given.short
    settings = Settings(
        folder,
        given.minutes * 60,
        seed,
        given.rate,
        SHORT_DECK if short else FULL_DECK,
        SHORT_PACE if short else Pace(),
        SHORT_BETWEEN_S if short else BETWEEN_S,
        PATIENCE_S,
    )
    print(f"seed {seed}, folder {folder}", file=sys.stderr)  # noqa: T201 - a program of its own
    try:
        outcome = asyncio.run(Run(settings).run())
    except BaseException:
        print(f"the run broke off; its logs and histories are in {folder}", file=sys.stderr)  # noqa: T201 - as above
        raise
    good = tell(outcome, given.minutes, short=short)
    if good:
        shutil.rmtree(folder)
    else:
        print(  # noqa: T201 - as above
            f"logs are in {folder}/*.log, histories in {folder}/*.jsonl (grep a saga's id there); "
            f"again with: python -m tests.chaos --minutes {given.minutes:g} --seed {seed}",
            file=sys.stderr,
        )
    return 0 if good else 1


def tell(outcome: Outcome, minutes: float, *, short: bool) -> bool:
    """Print the figures and the last line; whether the run is good."""
    records = [record for path in outcome.histories for record in read(path)]
    counted = count(records)
    report = judge(group(records))
    sagas = counted.sagas.total()
    done = outcome.done
    lines = [
        "faults: " + ", ".join(f"{act} {times}" for act, times in sorted(done.acts.items())),
        "network, felt of done: "
        + ", ".join(f"{kind} {outcome.felt[kind]}/{times}" for kind, times in sorted(done.network.items())),
        "sagas: " + ", ".join(f"{status} {times}" for status, times in sorted(counted.sagas.items())),
        f"first progress: {outcome.progress.shown if outcome.progress is not None else 'not measured'}",
        "invariants checked: " + " ".join(number for number, times in sorted(report.checked.items()) if times),
        *(course.shown for course in resources(outcome.samples)),
    ]
    if outcome.healed_after is not None:
        lines.append(f"at rest {outcome.healed_after:.1f} s after the last fault")
    findings = {
        "lost": counted.lost,
        "doubled": counted.doubled,
        "invariants broken": [str(violation) for violation in report.violations],
        "trouble": outcome.troubles,
        # A short run has too few starts, and other tests beside it.
        "too slow": [] if short else too_slow(outcome),
        "growing": growing(outcome),
        "proves too little": too_little(done, outcome.felt, sagas, minutes),
    }
    lines += [f"{what}:\n{shown(found)}" for what, found in findings.items() if found]
    lines.append(
        f"kills={done.kills} wipes={done.acts[Act.WIPE]} sagas={sagas} "
        f"lost={len(counted.lost)} doubled={len(counted.doubled)}"
    )
    print("\n".join(lines))  # noqa: T201 - as above
    return not any(findings.values())


if __name__ == "__main__":
    sys.exit(main())
