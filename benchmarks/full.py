"""`python -m benchmarks.full`: the long rows, one repetition each: flat cost, long sagas, many open ones, start-up.

Owns their order and what each runs on. A row that would change what another measures has a stage of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import click
import uvloop

from benchmarks import table
from benchmarks.bench import Measure
from benchmarks.definitions import chain
from benchmarks.records import Record, Run, new_run, write
from benchmarks.stage import Servers, servers, stage
from benchmarks.workloads import command_line, for_each, growth, long_saga, million, waiting

_SECONDS: Final = 10.0

WORKLOADS: Final[Mapping[str, Measure]] = {
    "command_line": command_line.measure,
    "for_each": for_each.measure,
    "long_saga": long_saga.measure,
    "growth": growth.measure,
    "waiting": waiting.measure,
    "million": million.measure,
}


async def full(on: Servers, run: Run, wanted: frozenset[str], told: Callable[[Record], None]) -> None:
    """Measure the wanted workloads into the run; `told` is called with each record as it is made."""
    for name, measure in WORKLOADS.items():
        if name not in wanted:
            continue
        more = {"thousand_steps.yaml": chain(long_saga.SAGA, long_saga.STEPS)} if name == "long_saga" else {}
        async with stage(on, f"benchmark_{name}", seconds=_SECONDS, definitions=more) as ours:
            figures, foreign = await measure(ours)
        run.records.append(Record(name, 0, foreign, figures))
        told(run.records[-1])


@click.command()
@click.argument("workloads", nargs=-1, type=click.Choice(list(WORKLOADS)))
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bench/full.json"), show_default=True)
def main(workloads: tuple[str, ...], out: Path) -> None:
    """Measure the WORKLOADS (left out: all). A line that falls short is listed; it is no failure."""
    with servers() as on:
        run = new_run("full", on.postgres.version)

        def told(record: Record) -> None:
            write(run, out)
            click.echo(table.record_line(record), err=True)

        uvloop.run(full(on, run, frozenset(workloads or WORKLOADS), told))
    click.echo(table.summary(run, out))


if __name__ == "__main__":
    main()
