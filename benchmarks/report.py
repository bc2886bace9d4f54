"""`python -m benchmarks.report`: writes the tables of docs/explanation/performance.md from the records that are kept.

A kept run is a file of `benchmarks/records`; make one anew with `--out benchmarks/records/bench.json` and the like.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks import table
from benchmarks.records import Run, read

_RECORDS: Final = Path(__file__).parent / "records"
_SHARES: Final = "shares."


def block(argument: str) -> str:
    """A generated block of the page about RUN, which is kept: `RUN.origin|goals|figures` or `RUN.shares.WORKLOAD`."""
    kept, _, part = argument.partition(".")
    run = read(_RECORDS / f"{kept}.json")
    if part.startswith(_SHARES):
        return table.shares_table(run, part.removeprefix(_SHARES))
    return {"origin": _origin, "goals": table.goals_table, "figures": table.figures_table}[part](run)


def main() -> None:
    # Imported late: the generator asks this module for its blocks.
    from docs.generator.pages import DOCS, refreshed

    page = DOCS / "explanation" / "performance.md"
    page.write_text(refreshed(page), encoding="utf-8")


def _origin(run: Run) -> str:
    """Where and of what it was measured."""
    machine = "; ".join(f"{name}: {value}" for name, value in run.machine.items())
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    repetitions = 1 + max(record.repetition for record in run.records)
    foreign = max(record.foreign for record in run.records)
    changed = ", with changes that were not committed" if run.commit.endswith("+") else ""
    return (
        f"Commit `{run.commit.rstrip('+')}`{changed}, {run.at}, repetitions: {repetitions}. {machine}. {versions}. "
        f"Other programs took up to {foreign:.0%} of the machine during a measurement."
    )


if __name__ == "__main__":
    main()
