"""`python -m benchmarks`: measures, writes the records as JSON, and prints tables; the last line is for scripts."""

from __future__ import annotations

from pathlib import Path

import click
import uvloop

from benchmarks import table
from benchmarks.bench import WORKLOADS, Size, bench
from benchmarks.records import Record, new_run, write
from benchmarks.stage import servers

_FOLDER = Path(".bench")


@click.command()
@click.argument("workloads", nargs=-1, type=click.Choice(WORKLOADS))
@click.option("--repetitions", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=6.0, show_default=True, help="Of a throughput run.")
@click.option("--sagas", type=click.IntRange(min=1), help="How many a throughput run has, instead of a time.")
@click.option("--out", type=click.Path(path_type=Path), default=_FOLDER / "bench.json", show_default=True)
def main(workloads: tuple[str, ...], repetitions: int, seconds: float, sagas: int | None, out: Path) -> None:
    """Measure the WORKLOADS (left out: all) in one run. A line that falls short is listed; it is no failure."""
    with servers() as on:
        run = new_run("bench", on.postgres.version)

        def told(record: Record) -> None:
            write(run, out)
            click.echo(table.record_line(record), err=True)

        wanted = frozenset(workloads or WORKLOADS)
        uvloop.run(bench(on, run, wanted, Size(repetitions, seconds, sagas), told))
    click.echo(table.summary(run, out))
    if {"limit", "happy_path"} <= wanted:
        click.echo(table.last_line(run))


if __name__ == "__main__":
    main()
