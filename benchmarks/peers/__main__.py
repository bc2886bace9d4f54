"""`python -m benchmarks.peers`: installs the peers, measures them beside ours in one run, and prints the ratios."""

from __future__ import annotations

from pathlib import Path

import click
import uvloop

from benchmarks import table
from benchmarks.bench import Size
from benchmarks.peers.compare import compare
from benchmarks.peers.place import PLACE, install
from benchmarks.records import Record, new_run, write
from benchmarks.stage import servers


@click.command()
@click.option("--repetitions", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Of a throughput run.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(".bench/peers.json"), show_default=True)
def main(repetitions: int, seconds: float, out: Path) -> None:
    """Compare with DBOS, natsaga and Restate. A line that falls short is listed; it is no failure."""
    install(PLACE)
    with servers() as on:
        run = new_run("peers", on.postgres.version)

        def told(record: Record) -> None:
            write(run, out)
            click.echo(table.record_line(record), err=True)

        uvloop.run(compare(on, PLACE, run, Size(repetitions, seconds), told))
    click.echo(table.summary(run, out))


if __name__ == "__main__":
    main()
